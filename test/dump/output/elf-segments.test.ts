import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type SegmentPiece, SegmentSplitter, shortestGap } from '../../../src/dump/output/elf-segments.ts';
import { PageBitmap } from '../../../src/lib/bitmap.ts';

const pageSize = 4096;

type Result = { pieces: SegmentPiece[]; data: [number, number][]; lasts: boolean[] };

function split(start: number, end: number, bitmaps: readonly PageBitmap[]): Result {
  const result: Result = { pieces: [], data: [], lasts: [] };
  const splitter = new SegmentSplitter(start, end, pageSize, {
    data: (from, to) => result.data.push([from, to]),
    piece: (piece, last) => {
      result.pieces.push(piece);
      result.lasts.push(last);
    },
  });
  for (const bitmap of bitmaps) splitter.feed(bitmap);
  splitter.finish();
  return result;
}

function bitmapOf(first: number, length: number, kept: (pfn: number) => boolean): PageBitmap {
  const bitmap = new PageBitmap(length, undefined, first);
  for (let pfn = first; pfn < first + length; pfn++) if (kept(pfn)) bitmap.set(pfn);
  return bitmap;
}

const pages = (n: number): number => n * pageSize;

test('256 excluded pages in a row end a piece, 255 do not', () => {
  const gap = (length: number) =>
    split(0, pages(1000), [bitmapOf(0, 1000, (pfn) => pfn < 10 || pfn >= 10 + length)]).pieces;
  expect(shortestGap).toBe(256);
  expect(gap(255)).toEqual([{ paddr: 0, filesz: pages(1000), memsz: pages(1000) }]);
  expect(gap(256)).toEqual([
    { paddr: 0, filesz: pages(10), memsz: pages(266) },
    { paddr: pages(266), filesz: pages(734), memsz: pages(734) },
  ]);
});

test('what is excluded at the end is described, not stored, however short', () => {
  const { pieces } = split(0, pages(20), [bitmapOf(0, 24, (pfn) => pfn < 5)]);
  expect(pieces).toEqual([{ paddr: 0, filesz: pages(5), memsz: pages(20) }]);
});

test('a segment of which nothing is kept is one piece without data', () => {
  const { pieces, data, lasts } = split(pages(8), pages(1000), [bitmapOf(0, 1000, () => false)]);
  expect(pieces).toEqual([{ paddr: pages(8), filesz: 0, memsz: pages(992) }]);
  expect([data, lasts]).toEqual([[], [true]]);
});

test('pages that a segment has in part are in the dump with that part', () => {
  const start = pages(3) + 100;
  const end = pages(10) + 7;
  expect(split(start, end, [bitmapOf(0, 16, () => true)]).pieces).toEqual([
    { paddr: start, filesz: end - start, memsz: end - start },
  ]);
  // The first is always kept, the last as its bit says.
  expect(split(start, end, [bitmapOf(0, 16, () => false)]).pieces).toEqual([
    { paddr: start, filesz: pages(4) - start, memsz: end - start },
  ]);
  expect(split(start, end, [bitmapOf(0, 16, (pfn) => pfn === 10)]).data).toEqual([
    [start, pages(4)],
    [pages(4), pages(10)],
    [pages(10), end],
  ]);
  // A segment within one page.
  expect(split(start, start + 50, [bitmapOf(0, 16, () => false)]).pieces).toEqual([
    { paddr: start, filesz: 50, memsz: 50 },
  ]);
});

/** Runs of kept and of excluded pages; half of the lengths are about the one that matters. */
const runs = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: shortestGap - 2, max: shortestGap + 2 })),
  { minLength: 1, maxLength: 12 },
);

test('the pieces follow each other and hold every kept page, at most 255 excluded ones in a row, whatever the cycles', () => {
  fc.assert(
    fc.property(
      runs,
      fc.boolean(),
      fc.nat(5000),
      fc.nat(5000),
      fc.nat(5),
      (lengths, odd, head, tail, cut) => {
        const keeps: boolean[] = [];
        for (const [i, length] of lengths.entries())
          for (let n = 0; n < length; n++) keeps.push((i % 2 === 1) === odd);
        const start = pages(8) + head;
        const end = Math.max(start + 1, pages(8 + keeps.length) - tail);
        const kept = (pfn: number): boolean => keeps[pfn - 8] ?? false;
        const length = Math.ceil((8 + keeps.length) / 8) * 8;
        const whole = split(start, end, [bitmapOf(0, length, kept)]);

        let at = start;
        const stored = (byte: number): boolean =>
          whole.pieces.some(({ paddr, filesz }) => byte >= paddr && byte < paddr + filesz);
        for (const [i, piece] of whole.pieces.entries()) {
          expect(piece.paddr).toBe(at);
          expect(piece.filesz).toBeLessThanOrEqual(piece.memsz);
          const isLast = i === whole.pieces.length - 1;
          expect(whole.lasts[i]).toBe(isLast);
          // Only a long gap ends a piece before the last.
          if (!isLast) expect(piece.memsz - piece.filesz).toBeGreaterThanOrEqual(pages(shortestGap));
          at += piece.memsz;
        }
        expect(at).toBe(end);
        for (let byte = start; byte < end; byte += pageSize) {
          if (kept(Math.floor(byte / pageSize))) expect(stored(byte)).toBe(true);
        }
        // Data comes in order and is exactly what the pieces hold.
        const told = whole.data.reduce((sum, [from, to]) => sum + to - from, 0);
        expect(told).toBe(whole.pieces.reduce((sum, piece) => sum + piece.filesz, 0));
        for (const [i, [from, to]] of whole.data.entries()) {
          expect(from).toBeLessThan(to);
          if (i > 0) expect(from).toBeGreaterThanOrEqual(whole.data[i - 1]![1]);
          expect(stored(from) && stored(to - 1)).toBe(true);
        }

        // Cycles change nothing.
        const step = 8 * 2 ** cut;
        const bitmaps: PageBitmap[] = [];
        for (let first = 0; first < length; first += step)
          bitmaps.push(bitmapOf(first, Math.min(step, length - first), kept));
        expect(split(start, end, bitmaps).pieces).toEqual(whole.pieces);
      },
    ),
  );
});
