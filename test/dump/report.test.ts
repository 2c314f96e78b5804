import { expect, test } from 'vitest';
import { formatReport } from '../../src/dump/report.ts';

/** What makedumpfile 1.7.8 printed for -d 31 of a crashed guest, and its numbers. */
const pages = {
  total: 0x1ffdd,
  holes: 0x94d0,
  original: 0x16b0d,
  excluded: {
    zero: 0xaba,
    cache: 0x673b,
    cachePrivate: 0x23d3,
    user: 0x33eb,
    free: 0x288f,
    hwpoison: 1,
    offline: 0x1000,
  },
  remaining: 0x68ca,
};

test('the report reads as that of makedumpfile', () => {
  expect(formatReport({ pages, bytes: 60473596 })).toBe(`Original pages  : 0x0000000000016b0d
  Excluded pages   : 0x0000000000010243
    Pages filled with zero  : 0x0000000000000aba
    Non-private cache pages : 0x000000000000673b
    Private cache pages     : 0x00000000000023d3
    User process data pages : 0x00000000000033eb
    Free pages              : 0x000000000000288f
    Hwpoison pages          : 0x0000000000000001
    Offline pages           : 0x0000000000001000
  Remaining pages  : 0x00000000000068ca
  (The number of pages is reduced to 28%.)
Memory Hole     : 0x00000000000094d0
--------------------------------------------------
Total pages     : 0x000000000001ffdd
Write bytes     : 60473596
`);
});

test('an ELF dump holds more than is not excluded: both numbers are there, and the share is that of the file', () => {
  const elf = {
    original: 0x1670d,
    excluded: {
      zero: 0xfcb,
      cache: 0x673f,
      cachePrivate: 0x23e0,
      user: 0x33f5,
      free: 0x2d6d,
      hwpoison: 0,
      offline: 0x1000,
    },
    remaining: 0x5ac1,
    holes: 0x98d0,
    total: 0x1ffdd,
    excludedInElf: 0x100ad,
  };
  const lines = formatReport({ pages: elf, bytes: 107355412 }).split('\n');
  expect(lines.slice(1, 3)).toEqual([
    '  Excluded pages   : 0x0000000000010c4c',
    '     in ELF format : 0x00000000000100ad',
  ]);
  expect(lines.slice(10, 13)).toEqual([
    '  Remaining pages  : 0x0000000000005ac1',
    '     in ELF format : 0x0000000000006660',
    '  (The number of pages is reduced to 28%.)',
  ]);
});

test('a file without a page has no share', () => {
  const excluded = { zero: 0, cache: 0, cachePrivate: 0, user: 0, free: 0, hwpoison: 0, offline: 0 };
  const none = { total: 0, holes: 0, original: 0, excluded, remaining: 0 };
  expect(formatReport({ pages: none, bytes: 0 })).not.toContain('reduced');
});
