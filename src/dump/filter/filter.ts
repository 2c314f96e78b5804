import type { PageLayout } from '../../kernel/page.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';
import type { Progress } from '../../lib/progress.ts';
import { DescriptorReader } from './descriptors.ts';
import { judgeRun, warmUp } from './judge.ts';
import { type FilterWork, level, noDoubts, noneExcluded, type Verdict } from './kinds.ts';

/** Whether a level needs the page descriptors at all: poisoned pages go at every level of a kernel that marks them. */
export function needsPageDescriptors(dumpLevel: number, page: PageLayout): boolean {
  const byType = level.cache | level.cachePrivate | level.user;
  return (
    (dumpLevel & byType) !== 0 ||
    page.hwpoison !== undefined ||
    ((dumpLevel & level.free) !== 0 && page.buddyType !== undefined)
  );
}

/**
 * Judges every page frame that is set in `bitmap` by its struct page and clears those that the level leaves out.
 * Zero pages are not decided here: their content decides, while it is copied.
 *
 * Descriptors are contiguous in virtual memory only. A section's are looked at where they lie when that is one piece
 * of mapped memory, and read into a buffer otherwise; a block that cannot be read costs nothing but the judgement of
 * its own pages, which are kept and counted.
 */
export function excludePages(work: FilterWork, progress: Progress, total = work.bitmap.end): Verdict {
  warmUp(work);
  const { sections, bitmap } = work;
  const { pagesPerSection } = sections;
  const verdict: Verdict = { excluded: noneExcluded(), doubts: noDoubts(), overflow: undefined };
  const reader = new DescriptorReader(work.memory, sections);

  for (let from = bitmap.nextSet(bitmap.first); from < bitmap.end; ) {
    const sectionEnd = (Math.floor(from / pagesPerSection) + 1) * pagesPerSection;
    // Only frames that exist: what the descriptor of a hole says may be anything.
    const to = bitmap.nextClear(from, sectionEnd);
    let judgedUpTo = from;
    // One descriptor more when there is one: a compound page tells its order in its second.
    for (const run of reader.read(from, Math.min(to + 1, sectionEnd))) {
      verdict.doubts.unreadable += populationBetween(bitmap, judgedUpTo, run.start);
      const end = Math.min(run.end, to);
      if (run.start < end) {
        // Spelled out: V8 makes a new hidden class for each `{ ...run, end }`, which stays until the old heap is full.
        const { words, origin, start } = run;
        judgeRun(work, verdict, { words, origin, start, end, readable: run.end });
      }
      judgedUpTo = Math.max(judgedUpTo, end);
    }
    verdict.doubts.unreadable += populationBetween(bitmap, judgedUpTo, to);
    progress(filterLabel, to, total);
    from = bitmap.nextSet(to);
  }
  return verdict;
}

export const filterLabel = 'Excluding unnecessary pages';

function populationBetween(bitmap: PageBitmap, start: number, end: number): number {
  let count = 0;
  for (let pfn = bitmap.nextSet(start, end); pfn < end; pfn = bitmap.nextSet(pfn + 1, end)) count++;
  return count;
}
