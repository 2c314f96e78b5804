import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseCaptureConfig } from '../../../src/kdump/capture/config.ts';
import { handoverOfRequest, readHandover, writeCaptureTree } from '../../../src/kdump/image/capture-tree.ts';
import { temporary, write } from './fixture.ts';

const { root, remove } = temporary();
afterAll(remove);
const into = join(root, 'initramfs');
const request = {
  host: 'vm',
  captureBundle: join(root, 'capture.mjs'),
  node: process.execPath,
};

describe.runIf(spawnSync('which', ['mksquashfs']).status === 0)('writeCaptureTree', () => {
  it('adds what the capture needs, and no loader that other programs would be started by', () => {
    write(request.captureBundle, '');
    mkdirSync(into);
    const tree = writeCaptureTree(into, handoverOfRequest(request, '/sysroot'), request);
    expect(tree.files.map(({ path }) => path)).toEqual([
      '/etc/kdump/capture.json',
      '/usr/lib/kdump/capture.sh',
      '/kdump.squashfs',
    ]);
    for (const { path, bytes } of tree.files) expect(statSync(join(into, path)).size, path).toBe(bytes);
    const config = parseCaptureConfig(readFileSync(join(into, 'etc/kdump/capture.json'), 'utf8'));
    expect(config).toEqual(tree.config);
    expect(config).toMatchObject({
      targets: [{ kind: 'mounted', mountPoint: '/sysroot' }],
      path: '/var/crash',
      host: 'vm',
    });
    const mode = (path: string) => statSync(join(into, path)).mode & 0o777;
    expect(mode('etc/kdump/capture.json')).toBe(0o600);
    expect(mode('kdump.squashfs')).toBe(0o600);
    expect(mode('usr/lib/kdump/capture.sh')).toBe(0o755);
    expect(lstatSync(join(into, 'lib64'), { throwIfNoEntry: false })).toBeUndefined();
  }, 120_000);

  it('adds what kdumpctl hands over, and leaves what that initramfs has of its own', () => {
    write(request.captureBundle, '');
    const tree = join(root, 'handed');
    write(join(tree, 'etc/passwd'), 'theirs');
    write(join(tree, 'etc/hosts'), '::1 theirs\n');
    const file = (path: string, text: string) => ({
      path,
      mode: 0o600,
      base64: Buffer.from(text).toString('base64'),
    });
    const files = [
      file('/etc/passwd', 'ours'),
      file('/etc/hosts', '192.0.2.7 server\n'),
      file('/etc/kdump/ssh/key', 'secret'),
    ];
    const { config } = handoverOfRequest(request, '/sysroot');
    write(join(root, 'handover.json'), JSON.stringify({ config, files, modules: ['virtio_net'] }));
    writeCaptureTree(tree, readHandover(join(root, 'handover.json')), { ...request, node: '/usr/bin/env' });
    const text = (path: string) => readFileSync(join(tree, path), 'utf8');
    expect(text('etc/passwd')).toBe('theirs');
    expect(text('etc/hosts')).toBe('192.0.2.7 server\n::1 theirs\n');
    expect(text('etc/kdump/ssh/key')).toBe('secret');
    expect(statSync(join(tree, 'etc/kdump/ssh/key')).mode & 0o777).toBe(0o600);
    expect(text('usr/lib/kdump/capture.sh')).toContain("'virtio_net'");
  }, 60_000);

  it.each(['{', '{"config":{}}', '[]'])('refuses %s as a handover', (content) => {
    write(join(root, 'bad.json'), content);
    expect(() => readHandover(join(root, 'bad.json'))).toThrow(
      expect.objectContaining({ code: 'bad-handover', message: expect.stringContaining('bad.json') }),
    );
  });
});
