import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressorNames, openCompressor } from '../../src/system/codecs.ts';
import { nodeZlib, openDecompressor } from '../../src/system/decompressors.ts';
import { addressOf } from '../../src/system/ffi.ts';
import { anyPage } from '../helpers/pages.ts';
import { noisePage, pageSize, textPage } from '../helpers/vmcore.ts';

describe.each([...compressorNames, 'node'] as const)('%s', (name) => {
  const codec = name === 'node' ? 'zlib' : name;
  const compressor = openCompressor(codec)!;
  const decompressor = name === 'node' ? nodeZlib() : openDecompressor(codec)!;
  const room = Buffer.alloc(compressor.bound(pageSize));
  const target = Buffer.alloc(pageSize + 64);

  const compress = (page: Buffer): Buffer => {
    const size = compressor.compress(addressOf(page), pageSize, addressOf(room), 1);
    return Buffer.from(room.subarray(0, size));
  };
  const decompress = (block: Buffer, size = pageSize): boolean => {
    target.fill(0xee);
    return decompressor.decompress(addressOf(block), block.length, addressOf(target), size);
  };

  test('gives back what was compressed', () => {
    fc.assert(
      fc.property(anyPage, (page) => {
        const block = compress(page);
        fc.pre(block.length > 0);
        expect(decompress(block)).toBe(true);
        expect(target.subarray(0, pageSize).equals(page)).toBe(true);
      }),
    );
  });

  test('wants exactly one page', () => {
    const block = compress(textPage(7));
    expect(decompress(block, pageSize)).toBe(true);
    expect(decompress(block, pageSize / 2)).toBe(false);
    expect(decompress(block, pageSize + 1)).toBe(false);
  });

  test('never writes beyond the page, whatever it is given', () => {
    fc.assert(
      fc.property(anyPage, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), (page, damage) => {
        const block = compress(page);
        fc.pre(block.length > 0);
        for (const [at, value] of damage) block[at % block.length] = value;
        decompress(block);
        expect(target.subarray(pageSize).every((byte) => byte === 0xee)).toBe(true);
      }),
    );
  });

  test('says no to noise', () => {
    for (let seed = 0; seed < 50; seed++) expect(decompress(noisePage(seed))).toBe(false);
  });
});

test('any zlib stream is read, of any level', () => {
  const page = textPage(3);
  for (const level of [0, 1, 6, 9]) {
    const block = deflateSync(page, { level });
    const target = Buffer.alloc(pageSize);
    expect(
      openDecompressor('zlib')!.decompress(addressOf(block), block.length, addressOf(target), pageSize),
    ).toBe(true);
    expect(target.equals(page)).toBe(true);
  }
});
