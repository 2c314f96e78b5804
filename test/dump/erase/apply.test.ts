import fc from 'fast-check';
import { expect, test } from 'vitest';
import { disjointPieces, EraseFilter, type ErasePiece } from '../../../src/dump/erase/apply.ts';

const pageSize = 16;
const pages = 8;
const memory = pageSize * pages;

const piece = fc
  .tuple(fc.nat(memory - 1), fc.nat(40), fc.constantFrom(0x58, 0))
  .map(([paddr, length, fill]): ErasePiece => ({ paddr, length: Math.min(length, memory - paddr), fill }));

/** Byte by byte, in ascending order of their starts. */
function erased(pieces: readonly ErasePiece[]): Uint8Array {
  const bytes = new Uint8Array(memory).fill(0xaa);
  for (const { paddr, length, fill } of [...pieces].sort((a, b) => a.paddr - b.paddr))
    bytes.fill(fill, paddr, paddr + length);
  return bytes;
}

test('pages come out as if every byte had been erased by itself, in any order of pages', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(pages - 1)), (pieces, order) => {
      const expected = erased(pieces);
      const filter = new EraseFilter(pieces, pageSize);
      for (const pfn of [...Array(pages).keys(), ...order]) {
        const buffer = new Uint8Array(pageSize + 3).fill(0xaa);
        const wanted = expected.subarray(pfn * pageSize, (pfn + 1) * pageSize);
        expect(filter.touches(pfn)).toBe(wanted.some((byte) => byte !== 0xaa));
        filter.apply(pfn, buffer, 2);
        expect([...buffer]).toEqual([0xaa, 0xaa, ...wanted, 0xaa]);
      }
    }),
    { numRuns: 300 },
  );
});

test('pieces are disjoint, ascending and joined', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const disjoint = disjointPieces(pieces);
      expect(erased(disjoint)).toEqual(erased(pieces));
      for (const [i, each] of disjoint.entries()) {
        expect(each.length).toBeGreaterThan(0);
        const before = disjoint[i - 1];
        if (before === undefined) continue;
        const end = before.paddr + before.length;
        expect(end).toBeLessThanOrEqual(each.paddr);
        expect(end === each.paddr && before.fill === each.fill).toBe(false);
      }
      expect(disjointPieces(disjoint)).toEqual(disjoint);
    }),
    { numRuns: 300 },
  );
});

test('without pieces nothing is touched', () => {
  const filter = new EraseFilter([], pageSize);
  expect(filter.touches(0)).toBe(false);
  const page = new Uint8Array(pageSize).fill(1);
  filter.apply(0, page, 0);
  expect(page.every((byte) => byte === 1)).toBe(true);
});

test('addresses beyond 4 GiB are whole numbers of pages away', () => {
  const filter = new EraseFilter([{ paddr: 2 ** 44 + 4090, length: 10, fill: 0x58 }], 4096);
  const pfn = 2 ** 32;
  expect([pfn - 1, pfn, pfn + 1, pfn + 2].map((each) => filter.touches(each))).toEqual([
    false,
    true,
    true,
    false,
  ]);
});
