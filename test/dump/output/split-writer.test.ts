import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SplitPlan } from '../../../src/dump/output/split-writer.ts';
import { PageBitmap } from '../../../src/lib/bitmap.ts';

const pageSize = 4096;

test('parts cover all frames without a gap, begin at whole words, and are about as large', () => {
  const run = fc.record({ start: fc.nat(40_000), length: fc.integer({ min: 1, max: 9000 }) });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40_000 }),
      fc.array(run, { maxLength: 6 }),
      fc.integer({ min: 2, max: 9 }),
      fc.constantFrom(undefined, 64, 128, 4096),
      (maxPfn, runs, parts, pagesPerPiece) => {
        const kept = new PageBitmap(maxPfn);
        for (const { start, length } of runs) kept.setRange(Math.min(start, maxPfn), start + length);
        const plan = new SplitPlan(maxPfn, pageSize, parts, pagesPerPiece);
        plan.count(kept);
        const ranges = plan.divide(parts);
        expect(ranges).toHaveLength(parts);
        expect(ranges[0]!.start).toBe(0);
        expect(ranges.at(-1)!.end).toBe(maxPfn);
        const sizes = ranges.map(({ start, end }, i) => {
          expect(end).toBeGreaterThanOrEqual(start);
          if (i > 0) expect(start).toBe(ranges[i - 1]!.end);
          if (start < maxPfn) expect(start % 64).toBe(0);
          let pages = 0;
          for (let pfn = kept.nextSet(start); pfn < end; pfn = kept.nextSet(pfn + 1)) pages++;
          return pages;
        });
        // A part ends where it has its share, or within one piece of it.
        const share = kept.count() / parts;
        const piece = pagesPerPiece ?? 64 * Math.max(1, Math.ceil(maxPfn / 64 / 64 / parts) * 2);
        for (const size of sizes) expect(size).toBeLessThanOrEqual(share + 2 * piece);
      },
    ),
  );
});
