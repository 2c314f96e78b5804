import type { SavedDump } from './saved-dump.ts';

const day = 24 * 3600 * 1000;

/**
 * Names a cause of death: the line with which the kernel died, without what differs from one time to the next
 * (addresses, numbers, the CPU). null when there is no such line.
 */
export function signatureOf(panic: string | null): string | null {
  return panic === null ? null : panic.replace(/0x[0-9a-f]+|\b[0-9a-f]{8,16}\b|\d+/gi, '#').trim();
}

/**
 * Parts dumps, oldest first, into series: crashes of one cause of which each follows the one before within a day. A
 * crash of which no cause is known is alone.
 */
export function crashSeries(dumps: readonly SavedDump[]): SavedDump[][] {
  const all: SavedDump[][] = [];
  const open = new Map<string, SavedDump[]>();
  for (const dump of dumps) {
    const signature = signatureOf(dump.panic);
    const series = signature === null ? undefined : open.get(signature);
    if (series !== undefined && Date.parse(dump.time) - Date.parse(series.at(-1)!.time) <= day) {
      series.push(dump);
      continue;
    }
    const begun = [dump];
    all.push(begun);
    if (signature !== null) open.set(signature, begun);
  }
  return all;
}
