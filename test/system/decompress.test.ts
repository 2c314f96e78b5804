import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KdumpError } from '../../src/lib/errors.ts';
import { compressionOf, decompress, unpack } from '../../src/system/decompress.ts';
import { lz4Blocks, lz4Frame } from '../helpers/lz4.ts';
import { noisePage } from '../helpers/vmcore.ts';

const plain = Buffer.concat([
  Buffer.from('\x7fELF a module'.repeat(50), 'latin1'),
  ...Array.from({ length: 100 }, (_, seed) => noisePage(seed)),
  Buffer.alloc(2 * 1024 * 1024, 'zeros'),
]);

/** scripts/setup.sh installs these programs. */
const by =
  (program: string, ...args: string[]) =>
  (input: Uint8Array): Buffer =>
    spawnSync(program, [...args, '-c'], { input, maxBuffer: 2 ** 26 }).stdout;
const packers = [
  ['gzip', 'gzip', (bytes: Uint8Array) => gzipSync(bytes)],
  ['xz', 'xz', by('xz')],
  ['xz as kernels are', 'xz', by('xz', '--check=crc32', '--x86', '--lzma2=preset=0,dict=128MiB')],
  ['lzma', 'lzma', by('xz', '--format=lzma')],
  ['zstd', 'zstd', by('zstd')],
  ['lz4', 'lz4', lz4Frame],
  ['lz4 as kernels are', 'lz4', lz4Blocks],
] as const;

const packed = new Map(packers.map(([title, , pack]) => [title, pack(plain)]));

describe.each(packers)('%s', (title, name, pack) => {
  const bytes = packed.get(title)!;
  const size = Buffer.alloc(4);
  size.writeUInt32LE(plain.length);

  it('is told by its first bytes and unpacked', () => {
    expect(compressionOf(bytes)).toBe(name);
    expect(plain.equals(decompress(bytes, 'a.ko'))).toBe(true);
  });

  it('may have the unpacked size or zeros behind it', () => {
    for (const behind of [size, Buffer.alloc(512), Buffer.alloc(3)])
      expect(plain.equals(decompress(Buffer.concat([bytes, behind]), 'a.ko'))).toBe(true);
  });

  it('may have another one behind it', () => {
    const twice = decompress(Buffer.concat([bytes, pack(Buffer.from('more'))]), 'a.ko');
    expect(Buffer.concat([plain, Buffer.from('more')]).equals(twice)).toBe(true);
  });

  it('cut off anywhere is refused, and the file named', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: bytes.length - 1 }), (length) => {
        expect(() => decompress(bytes.subarray(0, length), 'lib/a.ko')).toThrow(
          new RegExp(`^lib/a\\.ko: its ${name} data cannot be decompressed: they end too early`),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('damaged in any way gives bytes or a KdumpError', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1 }),
        (edits) => {
          const damaged = Buffer.from(bytes);
          for (const [at, bits] of edits) damaged[at]! ^= bits;
          try {
            decompress(damaged, 'a.ko');
          } catch (error) {
            expect(error).toBeInstanceOf(KdumpError);
          }
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('decompress', () => {
  it('leaves a plain file as it is', () => {
    expect(decompress(plain, 'a.ko')).toBe(plain);
    expect(compressionOf(new Uint8Array(0))).toBeUndefined();
  });

  it('joins the blocks of lz4, and knows the size behind several', () => {
    const long = Buffer.concat([Buffer.alloc(8 * 1024 * 1024, 'ab'), plain]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(long.length);
    expect(long.equals(decompress(Buffer.concat([lz4Blocks(long), size]), 'k'))).toBe(true);
  });

  it('says where a block of lz4 is wrong', () => {
    const bytes = Buffer.from(packed.get('lz4 as kernels are')!);
    const first = bytes.readUInt32LE(4);
    bytes.writeUInt32LE(0x7fff_ffff, 4);
    expect(() => decompress(bytes, 'k')).toThrow(/the block at byte 4 claims 2147483647 bytes/);
    bytes.writeUInt32LE(first, 4);
    bytes.fill(0xff, 8, 8 + first);
    expect(() => decompress(bytes, 'k')).toThrow(/the block at byte 4 is damaged/);
    expect(() => decompress(bytes.subarray(0, 4), 'k')).toThrow(/there is no block/);
  });
});

describe('unpack', () => {
  it('gives up at 1 GiB, and has kept nothing until then', () => {
    const small = gzipSync(Buffer.alloc(16 * 1024 * 1024));
    const bytes = Buffer.concat(Array.from({ length: 65 }, () => small));
    const source = { size: bytes.length, read: (at: number, n: number) => bytes.subarray(at, at + n) };
    let total = 0;
    const run = () =>
      unpack(source, 'bomb', (piece) => {
        total += piece.length;
      });
    expect(run).toThrow('bomb: its gzip data come to more than 1 GiB');
    expect(total).toBe(2 ** 30);
  });

  it('passes on what the reader and the writer throw', () => {
    const bytes = packed.get('zstd')!;
    const full = new KdumpError('memfd', 'full');
    const source = { size: bytes.length, read: (at: number, n: number) => bytes.subarray(at, at + n) };
    expect(() =>
      unpack(source, 'k', () => {
        throw full;
      }),
    ).toThrow(full);
    expect(() => unpack(source, 'k', () => {})).not.toThrow();
  });

  it('is for compressed files', () => {
    const source = { size: 4, read: () => Buffer.from('abcd') };
    expect(() => unpack(source, 'k', () => {})).toThrow('k is not compressed in a known way');
  });
});
