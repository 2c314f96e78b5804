import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Placement } from '../../../src/kexec/segments/placement.ts';
import { intersect, totalLength } from '../../../src/lib/ranges.ts';
import { errorOf } from '../fixtures.ts';

const region = { start: 0x10000000, end: 0x20000000 };

describe('a placement', () => {
  test('goes from the top down, in whole pages', () => {
    const placement = new Placement([region]);
    expect(placement.place('a', 1)).toEqual({ start: 0x1ffff000, end: 0x20000000 });
    expect(placement.place('b', 4097)).toEqual({ start: 0x1fffd000, end: 0x1ffff000 });
  });
  test('aligns downwards, and later pieces fill the hole above', () => {
    const placement = new Placement([region]);
    placement.place('a', 4096);
    expect(placement.place('b', 0x300000, { alignment: 0x200000 }).start).toBe(0x1fc00000);
    expect(placement.place('c', 0x1000).start).toBe(0x1fffe000);
  });
  test('keeps above a lowest address', () => {
    const placement = new Placement([{ start: 0x1000, end: 0x9f000 }, region]);
    expect(placement.place('a', region.end - region.start, { lowest: region.start })).toEqual(region);
    expect(errorOf(() => placement.place('b', 4096, { lowest: 0x9f000 })).code).toBe('no-room');
    expect(placement.place('c', 4096).start).toBe(0x9e000);
  });
  test('uses neither half pages nor the place of what touches', () => {
    const placement = new Placement([
      { start: 0x1400, end: 0x3000 },
      { start: 0x3000, end: 0x5c00 },
    ]);
    expect(placement.allowed).toEqual([{ start: 0x2000, end: 0x5000 }]);
    expect(placement.place('a', 0x3000)).toEqual({ start: 0x2000, end: 0x5000 });
  });
  test('takes one place when it is free', () => {
    const placement = new Placement([region]);
    expect(placement.placeAt(0x11000000, 0x5001)).toEqual({ start: 0x11000000, end: 0x11006000 });
    expect(placement.placeAt(0x11005000, 0x1000)).toBeNull();
    expect(placement.placeAt(0x1ffff000, 0x2000)).toBeNull();
  });
  test('says what did not fit, and what was there', () => {
    const placement = new Placement([region, { start: 0x30000000, end: 0x30005000 }]);
    const error = errorOf(() => placement.place('the kernel', 0x10000001, { alignment: 0x200000 }));
    expect(error.message).toBe(
      'no room for the kernel: 268439552 bytes are needed, aligned to 0x200000; the largest hole there has 268435456',
    );
    expect(error.exitCode).toBe(255);
    expect(errorOf(() => new Placement([]).place('the initrd', 1)).message).toMatch(/largest .* has 0$/);
  });
  test('gives out disjoint, aligned memory of what is allowed, and fails only when there is none', () => {
    const range = fc
      .tuple(fc.nat(2 ** 20), fc.nat(2 ** 18))
      .map(([start, length]) => ({ start: start * 512, end: (start + length) * 512 }));
    const wish = fc.record({
      bytes: fc.integer({ min: 1, max: 2 ** 26 }),
      alignment: fc.integer({ min: 12, max: 24 }).map((bits) => 2 ** bits),
      lowest: fc.nat(2 ** 28),
    });
    fc.assert(
      fc.property(fc.array(range, { maxLength: 6 }), fc.array(wish, { maxLength: 8 }), (allowed, wishes) => {
        const placement = new Placement(allowed);
        for (const { bytes, ...rest } of wishes) {
          const before = placement.free;
          const fits = before.some((hole) => {
            const start = Math.ceil(Math.max(hole.start, rest.lowest) / rest.alignment) * rest.alignment;
            return start + Math.ceil(bytes / 4096) * 4096 <= hole.end;
          });
          if (!fits) {
            expect(errorOf(() => placement.place('it', bytes, rest)).code).toBe('no-room');
            continue;
          }
          const place = placement.place('it', bytes, rest);
          expect(place.start % rest.alignment).toBe(0);
          expect(place.start).toBeGreaterThanOrEqual(rest.lowest);
          expect(place.end - place.start).toBe(Math.ceil(bytes / 4096) * 4096);
          expect(intersect([place], before)).toEqual([place]);
          expect(intersect([place], allowed)).toEqual([place]);
          expect(totalLength(placement.free)).toBe(totalLength(before) - (place.end - place.start));
        }
      }),
    );
  });
});
