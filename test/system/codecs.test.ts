import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressorNames, openCompressor } from '../../src/system/codecs.ts';
import { addressOf } from '../../src/system/ffi.ts';
import { noisePage, pageSize, textPage } from '../helpers/vmcore.ts';

describe.each(compressorNames)('%s', (name) => {
  const compressor = openCompressor(name)!;
  const target = Buffer.alloc(compressor.bound(pageSize) + 64, 0xee);
  const compress = (page: Buffer): number =>
    compressor.compress(addressOf(page), pageSize, addressOf(target), 1);

  test('shrinks what repeats and says 0 for what does not', () => {
    expect(compress(textPage(1))).toBeGreaterThan(0);
    expect(compress(textPage(1))).toBeLessThan(pageSize / 4);
    expect(compress(noisePage(1))).toBe(0);
  });

  test('never writes beyond its bound, whatever the page', () => {
    const word = fc.uint8Array({ minLength: 1, maxLength: 2048 });
    fc.assert(
      fc.property(word, fc.uint8Array({ minLength: 0, maxLength: 2048 }), (a, b) => {
        const page = Buffer.alloc(pageSize);
        for (let at = 0; at < pageSize; at += a.length) page.set(a.subarray(0, pageSize - at), at);
        page.set(b, pageSize - b.length);
        target.fill(0xee);
        const size = compress(page);
        expect(size).toBeLessThan(pageSize);
        expect(target.subarray(compressor.bound(pageSize)).every((byte) => byte === 0xee)).toBe(true);
        if (name === 'zlib' && size > 0)
          expect(inflateSync(target.subarray(0, size)).equals(page)).toBe(true);
      }),
    );
  });
});
