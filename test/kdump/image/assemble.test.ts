import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CpioEntry, readCpio } from '../../../src/formats/cpio.ts';
import { type AssembledImage, assembleImage, type ImagePlan } from '../../../src/kdump/image/assemble.ts';
import { readInterpreter } from '../../../src/kdump/image/interpreter.ts';
import { koffiAddon } from '../../../src/system/shared-objects.ts';
import { release, temporary, write, writeModules } from './fixture.ts';

const { root, remove } = temporary();
const bundle = join(root, 'capture.mjs');
let plan: ImagePlan;
beforeAll(() => {
  writeModules(root);
  write(bundle, "console.log('collected', process.execPath, process.versions.node);\n");
  plan = { init: '#!/bin/sh\n', kernelRelease: release, modulesRoot: root, modules: ['virtio_blk', 'ext4'] };
});
afterAll(remove);

const first = (image: AssembledImage): Map<string, CpioEntry> =>
  new Map(readCpio(gunzipSync(image.pieces[0]!)).entries.map((entry) => [entry.path, entry]));
const text = (entry: CpioEntry | undefined): string =>
  entry?.type === 'file' ? Buffer.from(entry.data).toString() : `no file: ${entry?.type}`;
const installed = (program: string): boolean => spawnSync('which', [program]).status === 0;

describe('an image without node', () => {
  it('has init, a console, busybox by its names and the modules in order, decompressed', () => {
    const image = assembleImage({
      ...plan,
      applets: ['ls'],
      files: [{ path: '/etc/secret/key', mode: 0o600, data: Buffer.from('x') }],
    });
    const entries = first(image);
    expect(text(entries.get('init'))).toBe('#!/bin/sh\n');
    expect(entries.get('dev/console')).toMatchObject({ type: 'character-device', major: 5, minor: 1 });
    expect(entries.get('bin/sh')).toMatchObject({ type: 'symlink', target: 'busybox' });
    expect(entries.get('bin/ls')).toMatchObject({ type: 'symlink', target: 'busybox' });
    expect(image.modules).toEqual(['virtio', 'virtio_blk']);
    expect(text(entries.get('modules/000-virtio.ko'))).toBe('module virtio');
    expect(text(entries.get('modules/001-virtio_blk.ko'))).toBe('module virtio_blk');
    expect(entries.get('etc/secret/key')).toMatchObject({ mode: 0o600 });
    expect(image.pieces).toHaveLength(1);
    expect(image.bytes).toBe(image.pieces[0]!.length);
    expect(image.items[0]).toMatchObject({ path: '/bin/busybox', storedIn: 'initramfs' });
  });

  it('keeps apart what only the account at home needs, and what it needs anyway together', () => {
    const entries = first(assembleImage({ ...plan, modules: ['virtio'], homeModules: ['virtio_blk'] }));
    const modules = [...entries.keys()].filter((path) => path.endsWith('.ko'));
    expect(modules).toEqual(['modules/000-virtio.ko', 'modules/home/000-virtio_blk.ko']);
    const all = first(assembleImage({ ...plan, homeModules: ['virtio_blk'] }));
    expect([...all.keys()].filter((path) => path.startsWith('modules/home/'))).toEqual([]);
  });

  it('is the same every time', () => {
    const [a, b] = [assembleImage(plan), assembleImage(plan)].map(({ pieces }) => Buffer.concat(pieces));
    expect(a!.equals(b!)).toBe(true);
  });

  it('brings the libraries of a busybox that is not static', () => {
    const entries = first(assembleImage({ ...plan, busybox: process.execPath }));
    const loader = readInterpreter(process.execPath)!;
    expect(entries.get(loader.slice(1))?.type).toBe('file');
    expect(entries.get('lib/libc.so.6')?.type).toBe('file');
  });

  it.each([
    ['no such module', { modules: ['nvme'] }, 'module-missing'],
    ['no such kernel', { kernelRelease: '9.9' }, 'no-modules'],
    ['no such busybox', { busybox: '/nonexistent/busybox' }, 'no-busybox'],
  ])('says clearly: %s', (_, change, code) => {
    expect(() => assembleImage({ ...plan, ...change })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(Object.values(change).flat()[0]!) }),
    );
  });

  it('asks for depmod where modules.dep is missing', () => {
    mkdirSync(join(root, 'lib/modules/6.2'), { recursive: true });
    expect(() => assembleImage({ ...plan, kernelRelease: '6.2' })).toThrow(
      expect.objectContaining({ fix: `Run depmod -b ${root} 6.2.` }),
    );
  });
});

describe.runIf(installed('mksquashfs') && installed('unsquashfs'))('an image with node', () => {
  let image: AssembledImage;
  let tree: string;
  beforeAll(() => {
    const nodeTree = {
      node: process.execPath,
      libraries: ['libkdump-not-there.so.9'],
      koffi: koffiAddon(),
      bundles: [bundle],
    };
    image = assembleImage({ ...plan, nodeTree });
    const { entries } = readCpio(Buffer.concat(image.pieces.slice(1)));
    expect(entries.map(({ path }) => path)).toEqual(['kdump.squashfs']);
    const packed = join(root, 'tree.squashfs');
    tree = join(root, 'tree');
    writeFileSync(packed, (entries[0] as { data: Uint8Array }).data);
    expect(spawnSync('unsquashfs', ['-q', '-n', '-d', tree, packed]).status).toBe(0);
  }, 120_000);

  it('keeps the second archive at a multiple of four, where the kernel looks for it', () => {
    expect(image.pieces[0]!.length % 4).toBe(0);
  });

  it('loads squashfs, and loop where it is no part of the kernel', () => {
    expect(image.modules).toEqual(['squashfs', 'virtio', 'virtio_blk']);
  });

  it('links the loader that node names to the one in the tree', () => {
    const loader = readInterpreter(process.execPath)!;
    expect(first(image).get(loader.slice(1))).toMatchObject({
      type: 'symlink',
      target: expect.stringMatching(/^\/run\/kdump\/lib\/ld-/),
    });
  });

  it('runs from its tree, with nothing but its own libraries, as the capture kernel will start it', () => {
    const loader = join(tree, 'lib', readInterpreter(process.execPath)!.split('/').at(-1)!);
    const script = `const holder = { exports: {} }; process.dlopen(holder, ${JSON.stringify(join(tree, 'app/koffi.node'))}); console.log(holder.exports.load(null).func('int abs(int)')(-7));`;
    const node = (...args: string[]) =>
      spawnSync(
        loader,
        ['--inhibit-cache', '--library-path', join(tree, 'lib'), join(tree, 'bin/node'), ...args],
        { env: {} },
      );
    expect(node(join(tree, 'app/capture.mjs')).stdout.toString()).toMatch(/^collected /);
    expect(node('-e', script).stdout.toString()).toBe('7\n');
  });

  it('lists every file with its size, the largest first, and what is not installed', () => {
    // Where node is one binary it is the largest file; Debian's keeps most of itself in a library.
    expect(image.items[0]!.path).toMatch(/^\/run\/kdump\/(bin\/node|lib\/libnode\.so\.\d+)$/);
    expect(image.items[0]!.storedIn).toBe('squashfs');
    const paths = image.items.map(({ path }) => path);
    expect(paths).toContain('/run/kdump/bin/node');
    expect(paths).toContain('/run/kdump/app/koffi.node');
    expect(image.items.map(({ bytes }) => bytes)).toEqual(
      image.items.map(({ bytes }) => bytes).sort((a, b) => b - a),
    );
    expect(image.missingLibraries).toEqual(['libkdump-not-there.so.9']);
    expect(image.unpackedBytes).toBeGreaterThan(image.bytes);
  });
});
