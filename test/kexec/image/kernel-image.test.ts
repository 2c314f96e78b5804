import {
  closeSync,
  fstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/kexec/image/content.ts';
import {
  initrdFrom,
  type KernelImage,
  openInitrd,
  openKernel,
} from '../../../src/kexec/image/kernel-image.ts';
import { lz4Blocks, lz4Frame } from '../../helpers/lz4.ts';
import { buildPe, buildUki } from '../../helpers/uki.ts';
import { errorOf } from '../fixtures.ts';
import { syntheticHead, syntheticSize } from '../synthetic-kernel.ts';
import { smallBzImage, smallVmlinux } from './kernels.ts';

let dir: string;
const images: { close(): void }[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kexec-image-'));
});
afterEach(() => {
  for (const image of images.splice(0)) image.close();
  rmSync(dir, { recursive: true });
});
const put = (name: string, bytes: Uint8Array | string, size?: number): string => {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  if (size !== undefined) truncateSync(path, size);
  return path;
};
const open = (bytes: Uint8Array, name = 'kernel'): KernelImage => {
  const image = openKernel(put(name, bytes));
  images.push(image);
  return image;
};
/** Everything that an image's descriptor gives. */
const throughFile = (image: { openFile(): number }): Buffer => {
  const fd = image.openFile();
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
};
const contentOf = ({ content }: { content: KernelImage['content'] }): Buffer =>
  Buffer.from(content.read(0, content.size));
const kernel = smallBzImage();

describe('openKernel', () => {
  test('a bzImage is taken as it is', () => {
    const path = put('vmlinuz', syntheticHead(), syntheticSize + 1472);
    const image = openKernel(path);
    images.push(image);
    expect(image).toMatchObject({
      path,
      size: syntheticSize + 1472,
      kind: 'bzImage',
      wrapping: [],
      uki: null,
    });
    expect(image.bzImage?.kernel_version).toMatch(/^6\.1/);
    const fd = image.openFile();
    expect(fstatSync(fd).ino).toBe(statSync(path).ino);
    closeSync(fd);
  });

  test.each([
    ['gzip', ['gzip'], gzipSync(kernel)],
    ['lz4', ['lz4'], lz4Frame(kernel)],
    ['lz4', ['lz4'], lz4Blocks(kernel)],
    ['a unified kernel image', ['uki'], buildUki({ linux: kernel })],
    ['a compressed one', ['gzip', 'uki'], gzipSync(buildUki({ linux: kernel }))],
    ['one with a compressed kernel', ['uki', 'lz4'], buildUki({ linux: lz4Blocks(kernel) })],
    ['both', ['lz4', 'uki', 'gzip'], lz4Frame(buildUki({ linux: gzipSync(kernel) }))],
  ])('wrapped in %s', (_, wrapping, bytes) => {
    const image = open(bytes);
    expect(image).toMatchObject({ kind: 'bzImage', wrapping, size: bytes.length });
    expect(image.bzImage?.protocol).toBe('2.15');
    expect(contentOf(image).equals(kernel)).toBe(true);
    expect(throughFile(image).equals(kernel)).toBe(true);
    expect(digestOf(image.content)).toBe(digestOf(open(kernel, 'plain').content));
  });

  test('a vmlinux, also compressed', () => {
    const plain = smallVmlinux();
    expect(open(plain)).toMatchObject({ kind: 'vmlinux', bzImage: null, wrapping: [] });
    const packed = open(gzipSync(smallVmlinux({ type: 3 })));
    expect(packed).toMatchObject({ kind: 'vmlinux', wrapping: ['gzip'] });
    expect(contentOf(packed).equals(smallVmlinux({ type: 3 }))).toBe(true);
  });

  test('gives every descriptor back', () => {
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const good = put('good', lz4Frame(buildUki({ linux: gzipSync(kernel) })));
    const bad = put('bad', gzipSync(buildUki({ linux: lz4Frame(Buffer.alloc(4096)) })));
    openKernel(good).close();
    const before = descriptors();
    const image = openKernel(good);
    image.close();
    image.close();
    errorOf(() => openKernel(bad));
    expect(descriptors()).toBe(before);
  });

  test('what was opened is what is read, whatever happens to the path', () => {
    const image = open(kernel);
    rmSync(image.path);
    writeFileSync(image.path, 'another');
    expect(throughFile(image).equals(kernel)).toBe(true);
    expect(contentOf(image).equals(kernel)).toBe(true);
  });

  test.each([
    ['missing', () => join(dir, 'none'), 'kernel-file', /^kernel .*none: no such file/],
    ['empty', () => put('empty', ''), 'kernel-file', /empty: is empty/],
    ['a directory', () => dir, 'kernel-file', /is a directory/],
    ['a device', () => '/dev/null', 'kernel-file', /is not a regular file/],
    ['behind a file', () => join(put('file', 'x'), 'kernel'), 'kernel-file', /cannot be opened.*ENOTDIR/],
    ['one byte', () => put('one', 'M'), 'not-a-kernel', /one: not an x86 kernel .*has 1 bytes/],
    ['text', () => put('text', 'hello\n'.repeat(999)), 'not-a-kernel', /text: not an x86 kernel/],
    ['cut off', () => put('short', kernel, 50_000), 'kernel-truncated', /short: truncated/],
    [
      'compressed text',
      () => put('t.gz', gzipSync('hello\n'.repeat(999))),
      'not-a-kernel',
      /t\.gz: unpacked gzip: not an x86 kernel/,
    ],
    [
      'compressed and cut off',
      () => put('k.gz', gzipSync(kernel).subarray(0, 200)),
      'decompress',
      /k\.gz: its gzip data cannot be decompressed: they end too early/,
    ],
    [
      'wrapped four times',
      () => put('k', gzipSync(lz4Frame(gzipSync(lz4Frame(kernel))))),
      'kernel-wrapping',
      /k: wrapped too often: a kernel in lz4 in gzip in lz4 in gzip/,
    ],
    [
      'a unified kernel image in another',
      () => put('k', buildUki({ linux: buildUki({ linux: kernel }) })),
      'kernel-wrapping',
      /a kernel in uki in uki/,
    ],
    [
      'a unified kernel image without a kernel',
      () => put('addon.efi', buildUki({ cmdline: 'quiet' })),
      'bad-uki',
      /addon\.efi: a unified kernel image without a kernel: no \.linux section/,
    ],
    [
      'another EFI program',
      () => put('shell.efi', buildPe([{ name: '.text', content: Buffer.alloc(2048) }])),
      'not-a-kernel',
      /an EFI program without a Linux boot header/,
    ],
  ])('refuses one that is %s', (_, path, code, message) => {
    const error = errorOf(() => openKernel(path()));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(255);
    expect(error.facts.path).toBeTruthy();
  });

  test.each([
    ['another machine', smallVmlinux({ machine: 183 }), /e_machine is 183 at offset 18, x86_64 is 62/],
    ['a core', smallVmlinux({ type: 4 }), /e_type is 4 at offset 16/],
    ['a program', smallVmlinux({}, {}, [{ type: 3 }]), /has a PT_INTERP: it is a program/],
    ['nothing to load', smallVmlinux({}, { type: 4 }), /it has no PT_LOAD/],
    [
      'a segment beyond the end',
      smallVmlinux({}, { filesz: 4097 }),
      /truncated: a PT_LOAD ends at byte 8193/,
    ],
    [
      'headers beyond the end',
      smallVmlinux({ phnum: 0xfffe }),
      /bytes 64 to .* were asked for, 8192 are there/,
    ],
    ['too many headers', smallVmlinux({ phnum: 0xffff }), /more program headers than e_phnum at offset 56/],
    ['32 bits', Buffer.from(smallVmlinux()).fill(1, 4, 5), /only 64-bit little-endian ELF/],
    ['60 bytes', smallVmlinux().subarray(0, 60), /Elf64_Ehdr at .*kernel: needs 64 bytes/],
  ])('refuses an ELF file of %s', (_, bytes, message) => {
    const error = errorOf(() => openKernel(put('kernel', bytes)));
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(255);
  });

  test('refuses a multiboot image, unless it is a vmlinux as well', () => {
    const mark = (bytes: Buffer): Buffer => {
      for (const [index, word] of [0x1badb002, 3, 2 ** 32 - 0x1badb002 - 3].entries())
        bytes.writeUInt32LE(word, 2048 + 4 * index);
      return bytes;
    };
    const error = errorOf(() => openKernel(put('xen', mark(Buffer.alloc(9000)))));
    expect(error.code).toBe('kernel-unsupported');
    expect(error.message).toMatch(
      /xen: a multiboot image \(header at offset 0x800\), which cannot be loaded/,
    );
    const elf32 = mark(smallVmlinux()).fill(1, 4, 5);
    expect(errorOf(() => openKernel(put('xen', elf32))).message).toMatch(/a multiboot image/);
    expect(open(mark(smallVmlinux())).kind).toBe('vmlinux');
  });
});

describe('openInitrd', () => {
  test('knows the size, and leaves it packed', () => {
    const bytes = gzipSync('x'.repeat(5000));
    const initrd = openInitrd(put('initrd', bytes));
    images.push(initrd);
    expect(initrd).toMatchObject({ path: join(dir, 'initrd'), size: bytes.length });
    expect(throughFile(initrd).equals(bytes)).toBe(true);
    expect(contentOf(initrd).equals(bytes)).toBe(true);
  });

  test('may come from a unified kernel image', () => {
    const image = open(buildUki({ linux: kernel, initrd: Buffer.from('archive') }), 'uki');
    const initrd = initrdFrom(image.uki!.initrd!);
    expect(initrd).toMatchObject({ path: `${image.path}: .initrd`, size: 7 });
    expect(throughFile(initrd).toString()).toBe('archive');
  });

  test.each([
    ['missing', () => join(dir, 'none'), /initrd .*none: no such file/],
    ['empty', () => put('empty', ''), /is empty/],
    ['a directory', () => dir, /is a directory/],
    ['a device', () => '/dev/null', /is not a regular file/],
  ])('refuses one that is %s', (_, path, message) => {
    const error = errorOf(() => openInitrd(path()));
    expect(error.code).toBe('initrd-file');
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(255);
  });
});
