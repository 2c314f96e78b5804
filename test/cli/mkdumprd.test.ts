import { spawnSync } from 'node:child_process';
import { readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { release, temporary, writeModules } from '../kdump/image/fixture.ts';

const { root, remove } = temporary();
const project = fileURLToPath(new URL('../..', import.meta.url));

beforeAll(async () => {
  writeModules(root);
  symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'));
  await build({
    entryPoints: ['mkdumprd', 'capture'].map((name) => join(project, 'src/cli', `${name}.ts`)),
    outdir: join(root, 'dist'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
  });
});
afterAll(remove);

const mkdumprd = (...args: string[]) => {
  const result = spawnSync(process.execPath, [join(root, 'dist/mkdumprd.mjs'), ...args]);
  return { status: result.status, stdout: result.stdout.toString(), stderr: result.stderr.toString() };
};
const image = join(root, 'capture.img');
const lab = [
  '--target',
  '/dev/vda',
  '--fstype',
  'ext4',
  '--add-drivers',
  'virtio_blk',
  '--modules-root',
  root,
];

describe('mkdumprd', () => {
  it('helps and tells its version', () => {
    expect(mkdumprd('--help')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Usage: mkdumprd'),
    });
    expect(mkdumprd('-v').stdout).toMatch(/^mkdumprd: kdump-tools version \d/);
  });

  it.each([
    [[], /no IMAGE given/],
    [['a', 'b', 'c'], /unexpected argument "c"/],
    [['--nonsense', 'a'], /unrecognized option '--nonsense'/],
    [['--final-action', 'sleep', 'a'], /expected reboot, poweroff, halt/],
    [['-f', '--if-missing', 'a'], /--if-missing keeps an image and -f replaces it/],
    [['--mounted-at', '/sysroot', 'a'], /--mounted-at is of use only with --into/],
    [['--into', 'tree', 'a'], /--into takes no image and no kernel, but a was given/],
    [['--into', 'tree', '--target', '/dev/vda'], /--target says how an image is built/],
    [['--into', '/proc', '--handover', 'f', '--no-report'], /--handover says what --no-report would say/],
    [['--into', '/nonexistent/tree'], /\/nonexistent\/tree is not a directory/],
    [['--into', '/proc', '--mounted-at', 'sysroot'], /mountPoint is "sysroot"/],
  ])('refuses %j', (args, message) => {
    expect(mkdumprd(...args)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(message),
    });
  });

  it('gives an error as JSON too, and leaves nothing behind', () => {
    const result = mkdumprd('--json', ...lab, '--add-drivers', 'nvme', image, release);
    expect(result.status).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: 'module-missing', facts: { module: 'nvme' } });
    expect(readdirSync(root).filter((name) => name.startsWith('capture'))).toEqual([]);
  });

  it.runIf(spawnSync('which', ['mksquashfs']).status === 0)(
    'builds an image and describes it',
    () => {
      const result = mkdumprd('--json', ...lab, '--host', 'vm', '--path', '/crash', image, release);
      expect(result.stderr).toBe('');
      const described = JSON.parse(result.stdout);
      expect(described).toMatchObject({
        image,
        kernelRelease: release,
        bytes: statSync(image).size,
        config: { host: 'vm', path: '/crash', targets: [{ device: '/dev/vda' }] },
        modules: ['squashfs', 'virtio', 'virtio_blk'],
      });
      // Where node is one binary it is the largest file; Debian's keeps most of itself in a library.
      expect(described.items[0].path).toMatch(/^\/run\/kdump\/(bin\/node|lib\/libnode\.so\.\d+)$/);
      expect(mkdumprd(...lab, image, release)).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/exists already\n.*-f to replace/),
      });
    },
    120_000,
  );
});
