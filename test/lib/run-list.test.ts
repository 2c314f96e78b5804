import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RunList } from '../../src/lib/run-list.ts';

const runs = fc.array(fc.tuple(fc.nat({ max: 300 }), fc.integer({ min: 0, max: 12 })), { maxLength: 80 });
const numbersOf = (list: Iterable<{ start: number; end: number }>): number[] =>
  [...list].flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));

test('holds exactly what was added, sorted and merged', () => {
  fc.assert(
    fc.property(runs, (added) => {
      const list = new RunList(1000);
      const expected = new Set<number>();
      for (const [start, length] of added) {
        list.add(start, start + length);
        for (let i = 0; i < length; i++) expected.add(start + i);
      }
      list.sort();
      expect(numbersOf(list)).toEqual([...expected].sort((a, b) => a - b));
      const held = [...list];
      expect(held.every((run, i) => i === 0 || held[i - 1]!.end < run.start)).toBe(true);
      expect(list.dropped).toBe(0);
    }),
  );
});

test('a full list keeps its longest runs and counts what it gave up', () => {
  fc.assert(
    fc.property(runs, fc.integer({ min: 1, max: 10 }), (added, limit) => {
      const list = new RunList(limit);
      // Disjoint runs with a gap in between, so that what is lost can be counted.
      let at = 0;
      let total = 0;
      for (const [gap, length] of added) {
        at += gap + 1;
        list.add(at, at + length);
        at += length;
        total += length;
      }
      expect(list.count).toBeLessThanOrEqual(limit);
      expect(numbersOf(list).length + list.dropped).toBe(total);
    }),
  );
  const list = new RunList(2);
  for (const [start, end] of [
    [0, 1],
    [10, 20],
    [30, 31],
    [40, 50],
  ] as const)
    list.add(start, end);
  expect([...list]).toEqual([
    { start: 10, end: 20 },
    { start: 40, end: 50 },
  ]);
});

test('from a position on', () => {
  const list = new RunList(10);
  for (const start of [0, 10, 20]) list.add(start, start + 5);
  expect([...list.from(12)].map((run) => run.start)).toEqual([10, 20]);
  expect([...list.from(15)].map((run) => run.start)).toEqual([20]);
  expect([...list.from(100)]).toEqual([]);
});
