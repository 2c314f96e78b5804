import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CpioEntry, readCpio } from '../../../src/formats/cpio.ts';
import { parseCaptureConfig } from '../../../src/kdump/capture/config.ts';
import type { EffectiveSettings } from '../../../src/kdump/config/effective.ts';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import { inputsChangedSince } from '../../../src/kdump/image/inputs.ts';
import { type PreparedImage, prepareImage } from '../../../src/kdump/image/prepare.ts';
import { release, temporary, write, writeModules } from './fixture.ts';

const { root, remove } = temporary();
/** A small program stands in for node: it is packed like node, and in no time. */
const node = '/usr/bin/env';
const captureBundle = join(root, 'capture.mjs');
const directory = join(root, 'images');
let settings: EffectiveSettings;
beforeAll(() => {
  writeModules(root);
  write(captureBundle, 'first');
  settings = {
    ...readSettings(join(root, 'nothing')).settings,
    targets: [
      { kind: 'filesystem', device: '/dev/kdump-elsewhere', fstype: 'ext4', mountOptions: 'ro,noauto' },
    ],
    image: { path: null, host: 'vm', drivers: ['virtio_blk'], modulesRoot: root },
  };
});
afterAll(remove);

const prepare = (
  change: Partial<EffectiveSettings> = {},
  options: { keep?: string[]; reserved?: number; accounts?: string } = {},
) =>
  prepareImage(
    { ...settings, ...change },
    { release, directory, reserved: null, accounts: null, carrier: { captureBundle, node }, ...options },
  );
const entriesOf = ({ path }: PreparedImage): Map<string, CpioEntry> => {
  const image = readFileSync(path);
  // The plain archive behind the compressed one.
  const { entries } = readCpio(
    gunzipSync(image.subarray(0, image.lastIndexOf('070701', image.indexOf('kdump.squashfs\0')))),
  );
  return new Map(entries.map((entry) => [entry.path, entry]));
};
const images = (): string[] => readdirSync(directory).filter((name) => name.endsWith('.img'));

describe.runIf(spawnSync('which', ['mksquashfs']).status === 0)('prepareImage', () => {
  let first: PreparedImage;

  it('makes an image that only root can read, named by its content', () => {
    first = prepare();
    expect(first).toMatchObject({ release, reused: false, warnings: [], bytes: statSync(first.path).size });
    expect(first.path).toBe(join(directory, `${release}-${first.hash.slice(0, 16)}.img`));
    expect(statSync(first.path).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const config = entriesOf(first).get('etc/kdump/capture.json');
    const text = config?.type === 'file' ? Buffer.from(config.data).toString() : '';
    expect(parseCaptureConfig(text)).toMatchObject({
      host: 'vm',
      path: '/var/crash',
      targets: [{ kind: 'filesystem', device: '/dev/kdump-elsewhere', fstype: 'ext4', mountOptions: 'rw' }],
      network: null,
      ssh: null,
    });
    expect(readdirSync(directory).filter((name) => name.includes('incomplete'))).toEqual([]);
  }, 60_000);

  it('takes the one that is there while nothing has changed', () => {
    expect(prepare()).toMatchObject({ path: first.path, hash: first.hash, reused: true, bytes: first.bytes });
    expect(inputsChangedSince(first.inputs)).toEqual([]);
  }, 60_000);

  it('makes it anew when it is damaged, or when that is asked for', () => {
    writeFileSync(first.path, 'damaged');
    expect(prepare()).toMatchObject({ path: first.path, reused: false, bytes: first.bytes });
    expect(prepare({ rebuild: 'always' })).toMatchObject({ path: first.path, reused: false });
  }, 60_000);

  it('notices a change of what goes in, and keeps the one that is armed and one more', () => {
    writeFileSync(captureBundle, 'second');
    expect(inputsChangedSince(first.inputs)).toEqual([captureBundle]);
    // Whatever else there is, it is used as it is.
    expect(prepare({ rebuild: 'never' })).toMatchObject({ path: first.path, reused: true });
    const second = prepare();
    expect(second.path).not.toBe(first.path);
    expect(images()).toHaveLength(2);
    const third = prepare({ path: '/dumps' }, { keep: [first.path] });
    expect(
      images()
        .map((name) => join(directory, name))
        .sort(),
    ).toEqual([first.path, third.path].sort());
    expect(readdirSync(directory)).toHaveLength(4);
  }, 60_000);

  it('says what makes an image large, and refuses one that cannot be unpacked', () => {
    const { bytes, items } = first;
    const warned = prepare({ path: '/dumps' }, { reserved: Math.ceil(bytes * 2.5) }).warnings;
    expect(warned).toEqual([expect.stringContaining(items[0]!.path)]);
    const before = readdirSync(directory).sort();
    expect(() => prepare({ path: '/other' }, { reserved: bytes })).toThrow(
      expect.objectContaining({ code: 'image-too-large', message: expect.stringContaining(items[0]!.path) }),
    );
    expect(readdirSync(directory).sort()).toEqual(before);
  }, 60_000);

  it('brings hooks and programs by their paths, with a shell that can do what they expect', () => {
    const hooks = join(root, 'hooks');
    mkdirSync(hooks, { mode: 0o755 });
    const pre = join(hooks, 'pre.sh');
    writeFileSync(pre, '#!/bin/bash\necho pre\n', { mode: 0o755 });
    const image = prepare({ hooks: { pre, post: null, emergency: null }, extraBins: ['/usr/bin/env'] });
    const entries = entriesOf(image);
    expect(entries.get(pre.slice(1))).toMatchObject({ type: 'symlink', target: `/run/kdump/programs${pre}` });
    expect(entries.get('bin/bash')).toMatchObject({ target: '/run/kdump/programs/bin/bash' });
    expect(entries.get('bin/sed')).toMatchObject({ target: 'busybox' });
    expect(image.inputs.map(({ path }) => path)).toEqual(expect.arrayContaining([pre, '/bin/bash']));
    expect(image.items.map(({ path }) => path)).toContain('/run/kdump/programs/bin/bash');
  }, 60_000);

  it('has a place for the account on this machine, or says that there is none', () => {
    const accounts = join(root, 'accounts');
    const image = prepare({}, { accounts });
    expect(statSync(accounts).mode & 0o777).toBe(0o700);
    const config = entriesOf(image).get('etc/kdump/capture.json');
    const { home } = parseCaptureConfig(config?.type === 'file' ? Buffer.from(config.data).toString() : '');
    // Whether there is one depends on what the directory for temporary files lies on.
    if (home === null) expect(image.warnings).toEqual([expect.stringContaining('told on the targets only')]);
    else expect(home).toMatchObject({ kind: 'filesystem', path: expect.stringMatching(/accounts$/) });
    const local = prepare({ targets: [{ kind: 'directory', path: root }] as never }, { accounts });
    expect(local.warnings).toEqual([]);
  }, 60_000);

  it('refuses a hook that others can change', () => {
    const hook = join(root, 'open.sh');
    writeFileSync(hook, '#!/bin/sh\n');
    spawnSync('chmod', ['777', hook]);
    expect(() => prepare({ hooks: { pre: hook, post: null, emergency: null } })).toThrow(
      expect.objectContaining({ code: 'unsafe-program', message: expect.stringContaining(hook) }),
    );
  });

  it('refuses what would not work, and leaves what is there', () => {
    const before = images();
    const nfs = { kind: 'nfs', server: '127.0.0.1', export: '/dumps', mountOptions: '' } as const;
    expect(() => prepare({ targets: [nfs] })).toThrow(
      expect.objectContaining({ code: 'module-missing', message: expect.stringContaining('NFS') }),
    );
    expect(() => prepare({ extraModules: ['nvme'] })).toThrow(/nvme/);
    expect(() => prepare({ fence: { nodes: ['a'], args: [] } })).toThrow(/fence_kdump_send/);
    expect(images()).toEqual(before);
  });
});
