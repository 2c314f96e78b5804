import { describe, expect, test } from 'vitest';
import { allocate, codecOf, decoderOver, pageDecoder } from '../../../src/dump/input/page-decoder.ts';
import { compressorNames, openCompressor } from '../../../src/system/codecs.ts';

import { noisePage, pageSize, textPage } from '../../helpers/vmcore.ts';

describe.each(compressorNames)('%s', (codec) => {
  const compressor = openCompressor(codec)!;
  const page = allocate(pageSize);
  textPage(5).copy(page.bytes);
  const source = allocate(compressor.bound(pageSize) + 8);
  const length = compressor.compress(page.address, pageSize, source.address + 8, 1);

  test('decodes from and to any place', () => {
    const target = allocate(pageSize + 16);
    expect(pageDecoder(codec)(source, 8, length, target, 16, pageSize)).toBe(true);
    expect(target.bytes.subarray(16).equals(page.bytes)).toBe(true);
  });

  test('without its library: LZO and snappy by our own decoders, the others not', () => {
    const decoder = decoderOver(codec, undefined);
    expect(decoder !== undefined).toBe(codec === 'lzo' || codec === 'snappy');
    if (decoder === undefined) return;
    const target = allocate(pageSize + 16);
    expect(decoder(source, 8, length, target, 16, pageSize)).toBe(true);
    expect(target.bytes.subarray(16).equals(page.bytes)).toBe(true);
    const noise = allocate(pageSize);
    noisePage(1).copy(noise.bytes);
    expect(decoder(noise, 0, pageSize, target, 0, pageSize)).toBe(false);
  });
});

test('flags of page descriptors', () => {
  expect([0, 1, 2, 4, 0x20].map(codecOf)).toEqual(['none', 'zlib', 'lzo', 'snappy', 'zstd']);
  expect([3, 8, 0x10, 0x40, 0x21].map(codecOf)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
