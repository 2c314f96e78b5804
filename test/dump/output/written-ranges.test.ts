import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WrittenRanges } from '../../../src/dump/output/written-ranges.ts';

test('a range is refused exactly when a byte of it was written before', () => {
  const range = fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 12 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), (ranges) => {
      const written = new WrittenRanges();
      const model = new Set<number>();
      for (const [start, length] of ranges) {
        const bytes = Array.from({ length }, (_, i) => start + i);
        const free = bytes.every((byte) => !model.has(byte));
        expect(written.add(start, start + length)).toBe(free);
        if (free) for (const byte of bytes) model.add(byte);
      }
      // Neighbours are one range.
      const runs = [...model].filter((byte) => !model.has(byte - 1)).length;
      expect(written.count).toBe(runs);
    }),
  );
});

test('regions that are written in turns stay as many ranges as there are regions', () => {
  const written = new WrittenRanges();
  for (let i = 0; i < 1000; i++) {
    expect(written.add(10_000_000 + i * 512, 10_000_000 + i * 512 + 512)).toBe(true);
    expect(written.add(4096 + i * 24, 4096 + i * 24 + 24)).toBe(true);
    expect(written.count).toBe(2);
  }
  expect(written.add(4096 + 24, 4096 + 25)).toBe(false);
});
