import type { CollectReport } from './collect.ts';

/** The report of `--message-level 16`, in makedumpfile's words and columns. */
export function formatReport(report: CollectReport): string {
  const { pages } = report;
  const { excluded } = pages;
  const sum = Object.values(excluded).reduce((total, count) => total + count, 0);
  const percent = pages.original === 0 ? 0 : Math.floor((pages.remaining * 100) / pages.original);
  return [
    `Original pages  : ${hex(pages.original)}`,
    `  Excluded pages   : ${hex(sum)}`,
    `    Pages filled with zero  : ${hex(excluded.zero)}`,
    `    Non-private cache pages : ${hex(excluded.cache)}`,
    `    Private cache pages     : ${hex(excluded.cachePrivate)}`,
    `    User process data pages : ${hex(excluded.user)}`,
    `    Free pages              : ${hex(excluded.free)}`,
    `    Hwpoison pages          : ${hex(excluded.hwpoison)}`,
    `    Offline pages           : ${hex(excluded.offline)}`,
    `  Remaining pages  : ${hex(pages.remaining)}`,
    `  (The number of pages is reduced to ${percent}%.)`,
    `Memory Hole     : ${hex(pages.holes)}`,
    '--------------------------------------------------',
    `Total pages     : ${hex(pages.total)}`,
    `Write bytes     : ${report.bytes}`,
    '',
  ].join('\n');
}

const hex = (count: number): string => `0x${count.toString(16).padStart(16, '0')}`;
