import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CaptureHandover } from '../../../src/kdump/image/capture-tree.ts';
import { type ExternalBuilder, planExternal } from '../../../src/kdump/image/external.ts';
import type { Gathered } from '../../../src/kdump/image/gather.ts';
import { configOfRequest } from '../../../src/kdump/image/settings.ts';
import { release, temporary, write, writeModules } from './fixture.ts';

const { root, remove } = temporary();
const carrier = { captureBundle: join(root, 'capture.mjs'), node: '/usr/bin/env' };
const path = process.env.PATH;
const unpacked = 100_000;
/** Of the order that the builder was given. */
const seen = join(root, 'seen');

/**
 * Writes down what it is told, and makes "an image" of so many bytes, gzipped.
 * @param find sets $output to the word that names it
 */
const standIn = (find: string): string => `#!/bin/sh
${find}
printf '%s\\n' "$@" >${seen}.args
cat "$KDUMP_TOOLS_HANDOVER" >${seen}.handover 2>/dev/null
echo "$KDUMP_TOOLS_MODULES" >${seen}.modules
ls -ld "$TMPDIR" >${seen}.directory
head -c ${unpacked} /dev/zero | gzip >"$output"
`;

beforeAll(() => {
  writeModules(root);
  write(carrier.captureBundle, 'the capture');
  write(join(root, 'bin/dracut'), standIn('for output; do :; done'));
  write(join(root, 'bin/mkinitramfs'), standIn('output=$4'));
  for (const name of readdirSync(join(root, 'bin'))) chmodSync(join(root, 'bin', name), 0o755);
  process.env.PATH = `${join(root, 'bin')}:${path}`;
});
afterAll(() => {
  process.env.PATH = path;
  remove();
});

const gathered: Gathered = {
  config: configOfRequest({ kind: 'mounted', mountPoint: '/sysroot' }, '/var/crash', {
    ...carrier,
    host: 'vm',
  }),
  modules: ['virtio_blk'],
  homeModules: [],
  drivers: ['virtio_blk'],
  files: [{ path: '/etc/key', mode: 0o600, data: Buffer.from('secret') }],
  programs: [],
  dracut: ['--mount', '/dev/vdb /kdumproot/vdb ext4 rw'],
  sources: [],
  warnings: [],
};
const built = (name: ExternalBuilder, args: readonly string[] = []) => {
  const output = join(root, 'images-incomplete');
  const image = planExternal(name, gathered, args, { release, modulesRoot: root, carrier }).build(output);
  const words = readFileSync(`${seen}.args`, 'utf8').trimEnd().split('\n');
  return { image, output, words };
};

describe('planExternal', () => {
  it.each(['dracut', 'mkinitramfs'])(
    'tells how large the image of %s is unpacked, and hides it',
    (program) => {
      const { image, output } = built(program === 'dracut' ? 'dracut' : 'initramfs-tools');
      expect(image.unpackedBytes).toBe(unpacked);
      expect(statSync(output).mode & 0o777).toBe(0o600);
    },
  );

  it('leaves nothing of what it handed over', () => {
    built('dracut');
    expect(readdirSync(root).filter((name) => name.startsWith('build-'))).toEqual([]);
  });

  it('keeps out of an image of dracut what has no place in a capture kernel', () => {
    const { words } = built('dracut', ['--mount', 'other', '--add', 'lvm']);
    expect(words[words.indexOf('--omit') + 1]!.split(' ')).toContain('shutdown');
    expect(words).toContain('--no-early-microcode');
    // The target's own mount, and not the one that the settings name as the target.
    expect(words.filter((word) => word === '--mount')).toHaveLength(1);
    expect(words).toEqual(expect.arrayContaining(['/dev/vdb /kdumproot/vdb ext4 rw', 'lvm']));
    expect(words[words.indexOf('--add-drivers') + 1]!.split(' ')).toEqual([
      'squashfs',
      'virtio',
      'virtio_blk',
    ]);
  });

  it('hands the capture to the hook of initramfs-tools, in a directory that only root can look into', () => {
    built('initramfs-tools');
    const handover = JSON.parse(readFileSync(`${seen}.handover`, 'utf8')) as CaptureHandover;
    expect(handover.config).toEqual(gathered.config);
    expect(handover.files).toEqual([
      { path: '/etc/key', mode: 0o600, base64: Buffer.from('secret').toString('base64') },
    ]);
    expect(readFileSync(`${seen}.modules`, 'utf8').trim().split(' ')).toEqual([
      'squashfs',
      'virtio',
      'virtio_blk',
    ]);
    expect(readFileSync(`${seen}.directory`, 'utf8')).toMatch(/^drwx------/);
  });
});
