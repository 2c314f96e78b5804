import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CompressorName, openCompressor } from '../../src/system/codecs.ts';
import { openDecompressor } from '../../src/system/decompressors.ts';
import { addressOf } from '../../src/system/ffi.ts';
import { anyPage } from './pages.ts';
import { pageSize } from './vmcore.ts';

/** A decoder of raw blocks of our own, as src/formats has them. */
type Decode = (
  source: Uint8Array,
  from: number,
  length: number,
  target: Uint8Array,
  at: number,
  size: number,
) => boolean;

/** Defines the tests of a decoder of our own next to the codec's library. */
export function testBlockDecoder(codec: CompressorName, decode: Decode): void {
  const compressor = openCompressor(codec)!;
  const library = openDecompressor(codec)!;
  const room = Buffer.alloc(compressor.bound(pageSize));

  function compress(page: Buffer): Buffer {
    const size = compressor.compress(addressOf(page), pageSize, addressOf(room), 1);
    return Buffer.from(room.subarray(0, size));
  }

  test('decodes what the library made', () => {
    fc.assert(
      fc.property(anyPage, fc.nat(32), fc.nat(32), (page, before, after) => {
        const block = compress(page);
        fc.pre(block.length > 0);
        const source = Buffer.concat([Buffer.alloc(before, 0x5a), block, Buffer.alloc(after, 0x5a)]);
        const target = Buffer.alloc(before + pageSize + after, 0xee);
        expect(decode(source, before, block.length, target, before, pageSize)).toBe(true);
        expect(target.subarray(before, before + pageSize).equals(page)).toBe(true);
        target.fill(0xee, before, before + pageSize);
        expect(target.every((byte) => byte === 0xee)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test('says of a damaged block what the library says, and stays inside its page', () => {
    const byte = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(anyPage, fc.array(byte, { minLength: 1, maxLength: 4 }), fc.nat(), (page, damage, cut) => {
        const block = compress(page);
        fc.pre(block.length > 0);
        for (const [at, value] of damage) block[at % block.length] = value;
        const length = cut % 3 === 0 ? cut % block.length : block.length;
        const target = Buffer.alloc(pageSize + 64, 0xee);
        const theirs = Buffer.alloc(pageSize + 64, 0xee);
        const valid = decode(block, 0, length, target, 0, pageSize);
        expect(valid).toBe(library.decompress(addressOf(block), length, addressOf(theirs), pageSize));
        if (valid) expect(target.equals(theirs)).toBe(true);
        expect(target.subarray(pageSize).every((b) => b === 0xee)).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  test('a block of another length than the page is refused', () => {
    const page = Buffer.alloc(pageSize, 'kernel ');
    const block = compress(page);
    const target = Buffer.alloc(2 * pageSize);
    expect(decode(block, 0, block.length, target, 0, pageSize - 1)).toBe(false);
    expect(decode(block, 0, block.length, target, 0, pageSize + 1)).toBe(false);
    expect(decode(block, 0, 0, target, 0, pageSize)).toBe(false);
    expect(decode(block, 0, block.length + 1, target, 0, pageSize)).toBe(false);
  });
}
