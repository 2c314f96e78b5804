import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseCaptureConfig } from '../../../src/kdump/capture/config.ts';
import { writeCaptureTree } from '../../../src/kdump/image/capture-tree.ts';
import { temporary, write } from './fixture.ts';

const { root, remove } = temporary();
afterAll(remove);
const into = join(root, 'initramfs');
const request = {
  mountPoint: '/sysroot',
  host: 'vm',
  captureBundle: join(root, 'capture.mjs'),
  node: process.execPath,
};

describe.runIf(spawnSync('which', ['mksquashfs']).status === 0)('writeCaptureTree', () => {
  it('adds what the capture needs, and no loader that other programs would be started by', () => {
    write(request.captureBundle, '');
    mkdirSync(into);
    const tree = writeCaptureTree(into, request);
    expect(tree.files.map(({ path }) => path)).toEqual([
      '/etc/kdump/capture.json',
      '/usr/lib/kdump/capture.sh',
      '/kdump.squashfs',
    ]);
    for (const { path, bytes } of tree.files) expect(statSync(join(into, path)).size, path).toBe(bytes);
    const config = parseCaptureConfig(readFileSync(join(into, 'etc/kdump/capture.json'), 'utf8'));
    expect(config).toEqual(tree.config);
    expect(config).toMatchObject({ target: { mountPoint: '/sysroot' }, path: '/var/crash', host: 'vm' });
    const mode = (path: string) => statSync(join(into, path)).mode & 0o777;
    expect(mode('etc/kdump/capture.json')).toBe(0o600);
    expect(mode('kdump.squashfs')).toBe(0o600);
    expect(mode('usr/lib/kdump/capture.sh')).toBe(0o755);
    expect(lstatSync(join(into, 'lib64'), { throwIfNoEntry: false })).toBeUndefined();
  }, 120_000);
});
