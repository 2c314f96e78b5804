import type { Excluded } from './filter/kinds.ts';

/** What the report is made of. Page counts are pages. */
export type ReportNumbers = {
  readonly pages: {
    readonly total: number;
    readonly holes: number;
    readonly original: number;
    readonly excluded: Excluded;
    readonly remaining: number;
    /**
     * Pages that an ELF dump does not hold: fewer than are excluded, since a short run of them is written along.
     * Undefined for other formats.
     */
    readonly excludedInElf?: number | undefined;
  };
  /** Bytes written, or that would have been. */
  readonly bytes: number;
};

/**
 * The report of `--message-level 16`, in makedumpfile's words and columns (1.7.8). Its last line, the hit rate of a
 * page cache, has no counterpart here.
 */
export function formatReport({ pages, bytes }: ReportNumbers): string {
  const { excluded, original, remaining, excludedInElf } = pages;
  const sum = Object.values(excluded).reduce((total, count) => total + count, 0);
  const inElf = (count: number): string[] =>
    excludedInElf === undefined ? [] : [`     in ELF format : ${hex(count)}`];
  const kept = excludedInElf === undefined ? remaining : original - excludedInElf;
  return [
    `Original pages  : ${hex(original)}`,
    `  Excluded pages   : ${hex(sum)}`,
    ...inElf(excludedInElf ?? 0),
    `    Pages filled with zero  : ${hex(excluded.zero)}`,
    `    Non-private cache pages : ${hex(excluded.cache)}`,
    `    Private cache pages     : ${hex(excluded.cachePrivate)}`,
    `    User process data pages : ${hex(excluded.user)}`,
    `    Free pages              : ${hex(excluded.free)}`,
    `    Hwpoison pages          : ${hex(excluded.hwpoison)}`,
    `    Offline pages           : ${hex(excluded.offline)}`,
    `  Remaining pages  : ${hex(remaining)}`,
    ...inElf(kept),
    ...(original === 0
      ? []
      : [`  (The number of pages is reduced to ${Math.floor((kept * 100) / original)}%.)`]),
    `Memory Hole     : ${hex(pages.holes)}`,
    '--------------------------------------------------',
    `Total pages     : ${hex(pages.total)}`,
    `Write bytes     : ${bytes}`,
    '',
  ].join('\n');
}

const hex = (count: number): string => `0x${count.toString(16).padStart(16, '0')}`;
