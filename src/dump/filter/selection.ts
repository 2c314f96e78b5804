import type { PfnRange } from '../../lib/bitmap.ts';
import { PageBitmap } from '../../lib/bitmap.ts';
import type { Progress } from '../../lib/progress.ts';
import type { DumpSource } from '../input/source.ts';
import { filterLabel } from './filter.ts';
import { type Doubts, type Excluded, noDoubts, noneExcluded, type Verdict } from './kinds.ts';
import type { PageMap } from './page-map.ts';

/** A piece of the page frames that is worked on at once. */
export type Cycle = PfnRange & {
  readonly index: number;
  /** Place of its bits in a bitmap of all frames, bytes. */
  readonly byteOffset: number;
  readonly byteLength: number;
};

/**
 * Divides the page frames into cycles, so that what grows with the machine's memory is never held whole.
 * @param bitmapBytes of a bitmap of all frames, padding included
 * @param cycleBytes of bitmap that may be held; a multiple of 32 KiB, which keeps blocks of 1 GiB in one cycle
 */
export function planCycles(maxPfn: number, bitmapBytes: number, cycleBytes: number): Cycle[] {
  const cycles: Cycle[] = [];
  for (let byteOffset = 0; byteOffset < bitmapBytes; byteOffset += cycleBytes) {
    const start = byteOffset * 8;
    const byteLength = Math.min(cycleBytes, bitmapBytes - byteOffset);
    const end = Math.max(start, Math.min(maxPfn, start + byteLength * 8));
    cycles.push({ index: cycles.length, start, end, byteOffset, byteLength });
  }
  return cycles;
}

/** What the filter found in all cycles. */
export type Totals = { original: number; kept: number; excluded: Excluded; doubts: Doubts };

/** Judges the pages of a bitmap, piece by piece in ascending order, and clears those that go. */
export type Judge = (bitmap: PageBitmap, take: (verdict: Verdict, end: number) => void) => void;

/** What decides which pages are kept. */
export type SelectionWork = {
  readonly source: DumpSource;
  readonly map: PageMap;
  readonly judge: Judge;
  /** Takes away more of a finished cycle. @returns how many pages that were */
  readonly also: ((bitmap: PageBitmap) => number) | undefined;
};

/** The bitmap of a cycle over given memory, with what that memory holds. */
export function bitmapOver(cycle: Cycle, memory: Uint8Array): PageBitmap {
  const bytes = memory.subarray(0, cycle.byteLength);
  return new PageBitmap(cycle.end - cycle.start, bytes.length, cycle.start, bytes);
}

/**
 * Decides cycle by cycle which pages are kept.
 * @param memory for the bitmap of one cycle
 * @param present receives bitmap 1 of each cycle, when wanted; as large as `memory`
 * @param each is called with the frames that are kept, and how many they are
 */
export function selectPages(
  { source, map, judge, also }: SelectionWork,
  cycles: readonly Cycle[],
  memory: Uint8Array,
  present: Uint8Array | undefined,
  each: (cycle: Cycle, kept: PageBitmap, count: number) => void,
  progress: Progress,
): Totals {
  const totals: Totals = { original: 0, kept: 0, excluded: noneExcluded(), doubts: noDoubts() };
  let overflow: Verdict['overflow'];
  for (const cycle of cycles) {
    const bitmap = bitmapOver(cycle, memory);
    bitmap.bytes.fill(0);
    source.markPresent(bitmap, map.pageSize);
    totals.original += bitmap.count();
    present?.set(bitmap.bytes);
    source.clearMissing(bitmap, map.pageSize);
    if (overflow !== undefined)
      totals.excluded[overflow.reason] += bitmap.clearRange(cycle.start, overflow.end);
    if (map.descriptors !== undefined) {
      judge(bitmap, (verdict, end) => {
        add(totals.excluded, verdict.excluded);
        add(totals.doubts, verdict.doubts);
        if (verdict.overflow !== undefined) {
          // A block that goes on in the next piece, which may have been judged already.
          overflow = verdict.overflow;
          totals.excluded[overflow.reason] += bitmap.clearRange(end, overflow.end);
        }
        progress(filterLabel, end, map.maxPfn);
      });
    }
    also?.(bitmap);
    const count = bitmap.count();
    totals.kept += count;
    each(cycle, bitmap, count);
  }
  return totals;
}

function add<T extends Record<string, number>>(sum: T, more: T): void {
  for (const key of Object.keys(sum)) (sum as Record<string, number>)[key]! += more[key]!;
}
