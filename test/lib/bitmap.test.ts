import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageBitmap } from '../../src/lib/bitmap.ts';

const length = 200;
const range = fc
  .tuple(fc.nat(length), fc.nat(length))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const operation = fc.tuple(fc.constantFrom('set', 'clear', 'clearOne'), range);

test('a bitmap is a set of page frames', () => {
  fc.assert(
    fc.property(fc.array(operation), (operations) => {
      const bitmap = new PageBitmap(length);
      const model = new Set<number>();
      for (const [kind, [start, end]] of operations) {
        const frames = Array.from({ length: end - start }, (_, i) => start + i);
        if (kind === 'set') {
          bitmap.setRange(start, end);
          for (const frame of frames) model.add(frame);
        } else if (kind === 'clear') {
          const expected = frames.filter((frame) => model.delete(frame)).length;
          expect(bitmap.clearRange(start, end)).toBe(expected);
        } else if (start < length) {
          expect(bitmap.clear(start)).toBe(model.delete(start));
        }
      }
      expect(bitmap.count()).toBe(model.size);
      for (let frame = 0; frame < length; frame++) {
        expect(bitmap.has(frame)).toBe(model.has(frame));
        const next = (wanted: boolean): number => {
          let at = frame;
          while (at < length && model.has(at) !== wanted) at++;
          return at;
        };
        expect(bitmap.nextSet(frame)).toBe(next(true));
        expect(bitmap.nextClear(frame)).toBe(next(false));
      }
    }),
  );
});

test('ranges beyond the end are cut, and padding stays clear', () => {
  const bitmap = new PageBitmap(10, 8);
  bitmap.setRange(4, 1000);
  expect([...bitmap.bytes]).toEqual([0xf0, 0x03, 0, 0, 0, 0, 0, 0]);
  expect(bitmap.clearRange(8, 1000)).toBe(2);
});

test('frames above 2^31 (8 TiB of 4 KiB pages) are told apart', () => {
  const high = 2 ** 31 + 5;
  const bitmap = new PageBitmap(high + 100);
  bitmap.setRange(high, high + 20);
  expect(bitmap.nextSet(high - 1000)).toBe(high);
  expect(bitmap.nextClear(high)).toBe(high + 20);
  expect(bitmap.clearRange(high + 1, high + 19)).toBe(18);
  expect(bitmap.has(high + 19)).toBe(true);
});
