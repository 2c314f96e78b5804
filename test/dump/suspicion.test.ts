import { describe, expect, test } from 'vitest';
import { noneExcluded } from '../../src/dump/filter/kinds.ts';
import { type Numbers, suspicions } from '../../src/dump/suspicion.ts';

/** A machine of 512 MiB that was filtered as it should be. */
const sound: Numbers = {
  dumpLevel: 31,
  inputLevel: 0,
  pageSize: 4096,
  pages: {
    original: 131072,
    excluded: { ...noneExcluded(), zero: 3000, cache: 30000, cachePrivate: 5000, user: 40000, free: 20000 },
    remaining: 33072,
  },
  doubts: { unreadable: 0, badOrder: 0, protected: 0 },
};
const codes = (numbers: Numbers): string[] => suspicions(numbers).map((suspicion) => suspicion.code);
const without = (changes: Partial<Numbers['pages']['excluded']>, rest: Partial<Numbers> = {}): Numbers => ({
  ...sound,
  ...rest,
  pages: { ...sound.pages, excluded: { ...sound.pages.excluded, ...changes } },
});

test('a sound dump raises no suspicion', () => {
  expect(suspicions(sound)).toEqual([]);
});

describe('a kind of which no page was found', () => {
  test.each([
    ['free', { free: 0 }, 16, 'no-free-pages'],
    ['user', { user: 0 }, 8, 'no-user-pages'],
    ['page cache at level 2', { cache: 0, cachePrivate: 0 }, 2, 'no-page-cache'],
    ['page cache at level 4', { cache: 0, cachePrivate: 0 }, 4, 'no-page-cache'],
  ])('%s', (_, changes, bit, code) => {
    expect(codes(without(changes))).toEqual([code]);
    expect(suspicions(without(changes))[0]!.text).toContain('--explain PFN');
    // Who does not ask for it is not told, nor who has a file without them already, nor who has little memory.
    expect(codes(without(changes, { dumpLevel: 31 & ~bit & ~(bit === 2 ? 4 : bit === 4 ? 2 : 0) }))).toEqual(
      [],
    );
    expect(codes(without(changes, { inputLevel: 31 }))).toEqual([]);
    const small = without(changes);
    expect(codes({ ...small, pages: { ...small.pages, original: 8192, remaining: 100 } })).toEqual([]);
  });

  test('page cache of one of the two kinds is enough', () => {
    expect(codes(without({ cache: 0 }))).toEqual([]);
    expect(codes(without({ cachePrivate: 0 }))).toEqual([]);
  });
});

test('descriptors that could not be read explain everything else', () => {
  const numbers = { ...without({ free: 0, user: 0 }), doubts: { ...sound.doubts, unreadable: 70000 } };
  expect(codes(numbers)).toEqual(['unreadable-descriptors']);
  expect(suspicions(numbers)[0]!.text).toContain('70000 of 131072 pages (53 %)');
});

test('level 31 that leaves out next to nothing', () => {
  const few = {
    ...sound,
    pages: {
      original: 131072,
      excluded: { ...noneExcluded(), cache: 5, user: 5, free: 5 },
      remaining: 131057,
    },
  };
  expect(codes(few)).toEqual(['nothing-left-out']);
  expect(codes({ ...few, dumpLevel: 17 })).toEqual([]);
  expect(codes({ ...few, pages: { ...few.pages, remaining: 100000 } })).toEqual([]);
});
