import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  alignDown,
  alignUp,
  intersect,
  normalize,
  type Range,
  subtract,
  totalLength,
  union,
} from '../../src/lib/ranges.ts';

const limit = 48;
/** Ranges in any order, some empty, some overlapping, some turned round. */
const drawn = fc.array(fc.record({ start: fc.nat(limit), end: fc.nat(limit) }), { maxLength: 8 });

/** The model: which numbers are in the set. */
const model = (ranges: readonly Range[]): boolean[] =>
  Array.from({ length: limit }, (_, n) => ranges.some(({ start, end }) => start <= n && n < end));

function expectNormal(ranges: readonly Range[]): void {
  for (const [i, { start, end }] of ranges.entries()) {
    expect(start).toBeLessThan(end);
    if (i > 0) expect(ranges[i - 1]!.end).toBeLessThan(start);
  }
}

describe('algebra against a bitmap', () => {
  test('normalize', () => {
    fc.assert(
      fc.property(drawn, (ranges) => {
        const result = normalize(ranges);
        expectNormal(result);
        expect(model(result)).toEqual(model(ranges));
        expect(totalLength(ranges)).toBe(model(ranges).filter(Boolean).length);
      }),
    );
  });
  test.each([
    ['union', union, (a: boolean, b: boolean) => a || b],
    ['intersect', intersect, (a: boolean, b: boolean) => a && b],
    ['subtract', subtract, (a: boolean, b: boolean) => a && !b],
  ] as const)('%s', (_, operation, combine) => {
    fc.assert(
      fc.property(drawn, drawn, (a, b) => {
        const result = operation(a, b);
        expectNormal(result);
        const [inA, inB] = [model(a), model(b)];
        expect(model(result)).toEqual(inA.map((bit, n) => combine(bit, inB[n]!)));
      }),
    );
  });
});

test('what is given stays as it is', () => {
  const ranges = Object.freeze([Object.freeze({ start: 4, end: 8 }), Object.freeze({ start: 0, end: 5 })]);
  expect(normalize(ranges)).toEqual([{ start: 0, end: 8 }]);
  expect(union(ranges, ranges)).toEqual([{ start: 0, end: 8 }]);
  expect(ranges[1]).toEqual({ start: 0, end: 5 });
});

test('addresses beyond 32 bits stay exact', () => {
  const ram = [{ start: 2 ** 32, end: 2 ** 52 }];
  const hole = [{ start: 0x63_f000_1000, end: 0x63_f000_2000 }];
  expect(subtract(ram, hole)).toEqual([
    { start: 2 ** 32, end: 0x63_f000_1000 },
    { start: 0x63_f000_2000, end: 2 ** 52 },
  ]);
});

test('aligning', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 52 }), fc.integer({ min: 1, max: 2 ** 30 }), (value, alignment) => {
      const [down, up] = [alignDown(value, alignment), alignUp(value, alignment)];
      expect(down % alignment).toBe(0);
      expect(up % alignment).toBe(0);
      expect(value - down).toBeGreaterThanOrEqual(0);
      expect(value - down).toBeLessThan(alignment);
      expect(up - value).toBeGreaterThanOrEqual(0);
      expect(up - value).toBeLessThan(alignment);
    }),
  );
  expect(alignUp(0x63_c923_0001, 0x1000)).toBe(0x63_c923_1000);
});
