import { expect, test } from 'vitest';
import { findBtf } from '../../src/kernel/btf.ts';
import type { KernelSymbols } from '../../src/kernel/types.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { pieceMemory } from '../helpers/piece-memory.ts';

const start = 0xffff_ffff_8200_0000n;
const image = { start: start - 4096n, end: start + 0x2_0000n };

function blob(): Buffer {
  const b = new BtfBuilder();
  const long = b.int('long', 8);
  for (let i = 0; i < 300; i++) b.struct(`struct_${i}`, 8 * i, [['member', long, 0]]);
  return b.bytes();
}

/** An image with something that begins like BTF, and BTF behind it, at an odd place. */
function memoryWith(btf: Buffer, at = 5001) {
  const bytes = Buffer.alloc(0x1_0000, 0xee);
  Buffer.from([0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0xff]).copy(bytes, 100);
  btf.copy(bytes, at);
  return pieceMemory([{ vaddr: start, bytes }]);
}

const symbolsAt = (from: number, to: number): KernelSymbols => ({
  address: (name) =>
    name === '__start_BTF' ? start + BigInt(from) : name === '__stop_BTF' ? start + BigInt(to) : undefined,
});

test('is found by its symbols', () => {
  const btf = blob();
  const types = findBtf(symbolsAt(5001, 5001 + btf.length), undefined, memoryWith(btf));
  expect(types?.find('struct_299')?.size).toBe(299 * 8);
});

test('is found by its magic when symbols do not tell', () => {
  const btf = blob();
  for (const symbols of [undefined, { address: () => undefined }])
    expect(findBtf(symbols, image, memoryWith(btf))?.find('struct_299')?.size).toBe(299 * 8);
  expect(findBtf(undefined, undefined, memoryWith(btf))).toBeUndefined();
});

test("the largest is the kernel's: built-in loaders of BPF programs bring small ones", () => {
  const b = new BtfBuilder();
  b.struct('struct_299', 4, [['member', b.int('int', 4), 0]]);
  const small = b.bytes();
  const bytes = Buffer.alloc(0x1_0000);
  small.copy(bytes, 64);
  blob().copy(bytes, 5001);
  small.copy(bytes, 0xf000);
  const memory = pieceMemory([{ vaddr: start, bytes }]);
  expect(findBtf(undefined, image, memory)?.find('struct_299')?.size).toBe(299 * 8);
});

test('what is not there, not readable or not whole is undefined', () => {
  const btf = blob();
  const memory = memoryWith(btf);
  expect(findBtf(undefined, image, memoryWith(Buffer.alloc(0)))).toBeUndefined();
  expect(findBtf(symbolsAt(5001, 5001), image, memory)).toBeUndefined();
  expect(findBtf(symbolsAt(5001, 5001 + btf.length - 1), image, memory)).toBeUndefined();
  expect(findBtf(symbolsAt(5001, 0x1_0001), image, memory)).toBeUndefined();
  expect(findBtf(symbolsAt(5001, 0x7fff_ffff), image, memory)).toBeUndefined();
  expect(findBtf(symbolsAt(200, 5000), image, memory)).toBeUndefined();
  expect(findBtf(undefined, image, memoryWith(btf.subarray(0, 3000), 0x1_0000 - 3000))).toBeUndefined();
});
