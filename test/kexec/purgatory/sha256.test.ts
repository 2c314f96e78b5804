import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { buildPurgatory, purgatoryCode } from '../../../src/kexec/purgatory/purgatory.ts';
import { addressOf } from '../../../src/system/ffi.ts';
import { executable } from '../../helpers/executable.ts';

// The purgatory's own machine code, run by this processor; so nowhere but on x86_64.
const here = process.arch === 'x64';
const { labels, bytes } = purgatoryCode();
const offset = (label: string): number => labels.get(label)!;
const code = executable(bytes);
afterAll(() => code.close());

const sha256 = (pieces: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
};

/** The caller holds the pieces, whose addresses are in the table, until this returns. */
function digestOf(pieces: readonly Uint8Array[]): Buffer {
  const table = Buffer.alloc(16 * pieces.length);
  for (const [i, piece] of pieces.entries()) {
    table.writeBigUInt64LE(BigInt(piece.length === 0 ? 0 : addressOf(piece)), 16 * i);
    table.writeBigUInt64LE(BigInt(piece.length), 16 * i + 8);
  }
  const digest = Buffer.alloc(32);
  code.call(offset('sha256_regions'), table, pieces.length, digest);
  return digest;
}

const pattern = (length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, i) => i * 197 + (i >> 8) * 31));

test.runIf(here)('around the ends of blocks, where the padding changes', () => {
  const data = pattern(200);
  for (let length = 0; length <= data.length; length++)
    expect(digestOf([data.subarray(0, length)]), `${length} bytes`).toEqual(
      sha256([data.subarray(0, length)]),
    );
});

test.runIf(here)('any regions, one behind the other', () => {
  const piece = fc.oneof(fc.uint8Array({ maxLength: 140 }), fc.uint8Array({ maxLength: 5000, size: 'max' }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
      expect(digestOf(pieces)).toEqual(sha256(pieces));
    }),
  );
});

test.runIf(here)('a region of many blocks', () => {
  const data = pattern(3_000_017);
  expect(digestOf([data])).toEqual(sha256([data]));
});

test.runIf(here)('sha256_blocks: the state after each of several blocks', () => {
  // From FIPS 180-4's example: the padded block of "abc".
  const block = Buffer.alloc(64);
  block.write('abc\x80', 'latin1');
  block[63] = 24;
  const state = Buffer.from(bytes.subarray(offset('initialState'), offset('initialState') + 32));
  code.call(offset('sha256_blocks'), state, block, 1);
  expect(Buffer.from(state).swap32().toString('hex')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  const two = pattern(128);
  const inOne = Buffer.from(state);
  code.call(offset('sha256_blocks'), inOne, two, 2);
  for (const half of [two.subarray(0, 64), two.subarray(64)])
    code.call(offset('sha256_blocks'), state, Buffer.from(half), 1);
  expect(state).toEqual(inOne);
});

test.runIf(here)('verify says whether the regions are what they were', () => {
  const regions = [pattern(8192), pattern(0), pattern(4097), pattern(63)];
  const purgatory = buildPurgatory({
    registers: { rip: 0, rsi: 0 },
    check: {
      regions: regions.map((region) => ({
        start: region.length === 0 ? 0 : addressOf(region),
        length: region.length,
      })),
      digest: sha256(regions),
    },
    backup: null,
    console: { resetVga: false, vga: false, serial: null, verbose: false },
    jumpBack: null,
  });
  const loaded = executable(purgatory.bytes);
  try {
    expect(loaded.call(offset('verify'))).toBe(1);
    for (const [region, at] of [
      [0, 0],
      [0, 8191],
      [2, 4096],
      [3, 62],
    ] as const) {
      regions[region]![at]! ^= 0x10;
      expect(loaded.call(offset('verify')), `byte ${at} of region ${region}`).toBe(0);
      const found = loaded.bytes.subarray(offset('found'), offset('found') + 32);
      expect(Buffer.from(found)).toEqual(sha256(regions));
      regions[region]![at]! ^= 0x10;
    }
    expect(loaded.call(offset('verify'))).toBe(1);
  } finally {
    loaded.close();
  }
});
