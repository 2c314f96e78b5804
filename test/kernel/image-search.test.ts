import { expect, test } from 'vitest';
import { searchMemory } from '../../src/kernel/image-search.ts';
import { pieceMemory } from '../helpers/piece-memory.ts';

const needle = Buffer.from('needle');
const start = 0xffff_ffff_8000_0000n;
const megabyte = 2 ** 20;

function search(bytes: Buffer, offsets: readonly number[], unreadable: readonly number[] = []): number[] {
  for (const at of offsets) needle.copy(bytes, at);
  const memory = pieceMemory([{ vaddr: start, bytes }], new Set(unreadable));
  const range = { start: start - 8192n, end: start + BigInt(bytes.length) + 8192n };
  return [...searchMemory(memory, range, needle)].map((address) => Number(address - start));
}

test('every place is found, those across the borders of pieces and those at the ends too', () => {
  const size = 3 * megabyte + 1000;
  const places = [0, 100, megabyte - 6, megabyte * 2 - 3, megabyte * 2 + 3, size - 6];
  expect(search(Buffer.alloc(size), places)).toEqual(places);
});

test('pages that are not there cost only what is in them', () => {
  const places = [100, 5000, 8190, 12_288, megabyte + 8];
  expect(search(Buffer.alloc(2 * megabyte), places, [4096, 8192])).toEqual([100, 12_288, megabyte + 8]);
});

test('nothing is found across what is not mapped, or beyond the range', () => {
  const ends = Buffer.alloc(4096);
  needle.copy(ends, 4093);
  const begins = Buffer.alloc(4096);
  needle.copy(begins, 0, 3);
  const range = { start, end: start + 16_384n };
  const apart = pieceMemory([
    { vaddr: start, bytes: ends },
    { vaddr: start + 8192n, bytes: begins },
  ]);
  expect([...searchMemory(apart, range, needle)]).toEqual([]);
  // The same side by side in virtual memory, though not in physical memory.
  const together = pieceMemory([
    { vaddr: start, bytes: ends },
    { vaddr: start + 4096n, bytes: begins },
  ]);
  expect([...searchMemory(together, range, needle)]).toEqual([start + 4093n]);
  expect([...searchMemory(together, { start, end: start + 4096n }, needle)]).toEqual([]);
});
