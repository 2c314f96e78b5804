import { isMissing, type VirtualMemory } from '../kernel/memory.ts';
import type { PageFlag, PageLayout } from '../kernel/page.ts';
import type { SectionMap } from '../kernel/sparsemem.ts';
import type { PageBitmap } from '../lib/bitmap.ts';
import type { Progress } from '../lib/progress.ts';

/** Dump level bits, each a kind of page to leave out (makedumpfile(8)). */
export const level = { zero: 1, cache: 2, cachePrivate: 4, user: 8, free: 16 } as const;
export const maxLevel = 31;

/** Pages left out, by the reason that was found first. */
export type Excluded = {
  zero: number;
  cache: number;
  cachePrivate: number;
  user: number;
  free: number;
  hwpoison: number;
  offline: number;
};

/** Pages that were kept because they could not be judged. */
export type Doubts = {
  /** Their struct page could not be read. */
  unreadable: number;
  /** They claim to be free blocks of an order that the kernel does not have. */
  badOrder: number;
};

export const noneExcluded = (): Excluded => ({
  zero: 0,
  cache: 0,
  cachePrivate: 0,
  user: 0,
  free: 0,
  hwpoison: 0,
  offline: 0,
});

/** What the filter works on. */
export type FilterWork = {
  readonly memory: VirtualMemory;
  readonly sections: SectionMap;
  readonly page: PageLayout;
  /** 0 to 31. */
  readonly dumpLevel: number;
  /** Page frames to judge, sorted and disjoint. */
  readonly ranges: readonly PfnRange[];
  /** Pages that are kept; those that go are cleared. */
  readonly bitmap: PageBitmap;
};

export type Verdict = { readonly excluded: Excluded; readonly doubts: Doubts };

/** Half-open range of page frames. */
export type PfnRange = { readonly start: number; readonly end: number };

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
 * Walks the struct page of every page frame in `ranges` and clears in `bitmap` those that the level leaves out.
 * Zero pages are not decided here: their content decides, while it is copied.
 *
 * Descriptors are read section by section into one buffer, since they are contiguous in virtual memory only; a block
 * that cannot be read costs nothing but the judgement of its own pages, which are kept and counted.
 */
export function excludePages(work: FilterWork, progress: Progress): Verdict {
  const { memory, sections, ranges, bitmap } = work;
  const { pagesPerSection, pageStructSize } = sections;
  const words = new Uint32Array((pagesPerSection * pageStructSize) / 4);
  const bytes = new Uint8Array(words.buffer);
  const verdict: Verdict = { excluded: noneExcluded(), doubts: { unreadable: 0, badOrder: 0 } };

  for (const range of ranges) {
    for (let from = range.start; from < range.end; ) {
      const nr = Math.floor(from / pagesPerSection);
      const sectionEnd = (nr + 1) * pagesPerSection;
      const to = Math.min(range.end, sectionEnd);
      const base = sections.bases[nr];
      let judged = 0;
      if (base !== undefined) {
        // One descriptor more when there is one: a compound page tells its order in its second.
        const wanted = Math.min(to + 1, sectionEnd) - from;
        const first = base + BigInt(from) * BigInt(pageStructSize);
        const target = bytes.subarray(0, wanted * pageStructSize);
        for (const run of readDescriptors(memory, first, target, pageStructSize)) {
          const end = Math.min(run.end, to - from);
          judgeRun(work, verdict, { words, origin: from, start: run.start, end, readable: run.end });
          judged += Math.max(0, end - run.start);
        }
      }
      verdict.doubts.unreadable += to - from - judged;
      from = to;
      progress(label, from, bitmap.length);
    }
  }
  return verdict;
}

const label = 'Excluding unnecessary pages';

/** Fills `target` with descriptors from `vaddr` on; gives the ranges of whole descriptors (counted from 0) that were read. */
function readDescriptors(memory: VirtualMemory, vaddr: bigint, target: Uint8Array, size: number): PfnRange[] {
  const runs: { start: number; end: number }[] = [];
  let readableFrom = 0;
  const close = (until: number): void => {
    const start = Math.ceil(readableFrom / size);
    const end = Math.floor(until / size);
    if (end > start) runs.push({ start, end });
  };
  for (let at = 0; at < target.length; ) {
    const run = memory.translate(vaddr + BigInt(at));
    // What the page tables do not map is skipped by the smallest page there is.
    const length = isMissing(run)
      ? smallestPage - Number((vaddr + BigInt(at)) % BigInt(smallestPage))
      : run.length;
    const end = Math.min(target.length, at + length);
    if (isMissing(run) || memory.readPhysicalInto(run.paddr, target.subarray(at, end)) !== undefined) {
      close(at);
      readableFrom = end;
    }
    at = end;
  }
  close(target.length);
  return runs;
}

const smallestPage = 4096;

/** Descriptors to judge. */
type DescriptorRun = {
  /** The descriptor at index 0 is that of page frame `origin`. */
  readonly words: Uint32Array;
  readonly origin: number;
  /** Half-open range of descriptors to judge. */
  readonly start: number;
  readonly end: number;
  /** End of those that may be looked at. */
  readonly readable: number;
};

/**
 * Decides page by page, in the order of makedumpfile's __exclude_unnecessary_pages: the first reason that holds is the
 * one that counts. A free block or a compound page is one decision for all its pages.
 *
 * The hot loop of the filter: everything it needs is a local number, about 10 ns a page on one core.
 */
function judgeRun(
  { page, dumpLevel, bitmap }: FilterWork,
  { excluded, doubts }: Verdict,
  run: DescriptorRun,
): void {
  const { words, origin, readable } = run;
  const {
    words: stride,
    flags: flagsAt,
    mapping: mappingAt,
    mapcount: mapcountAt,
    private: privateAt,
    compoundHead,
    orders,
  } = page;
  const { slabType, buddyType, offlineType, unacceptedType } = page;
  const { word: lruAt, mask: lru } = page.lru;
  const { word: privateFlagAt, mask: privateFlag } = page.privateFlag;
  const { word: swapcacheAt, mask: swapcache } = page.swapcache;
  const { word: swapbackedAt, mask: swapbacked } = page.swapbacked ?? alwaysClear(flagsAt);
  const swapcacheAlone = page.swapbacked === undefined;
  const { word: headAt, mask: head } = page.head;
  const { word: slabAt, mask: slab } = page.slabFlag ?? alwaysClear(flagsAt);
  const { word: hwpoisonAt, mask: hwpoison } = page.hwpoison ?? alwaysClear(flagsAt);
  const compound = page.compound;

  const dropCache = (dumpLevel & level.cache) !== 0;
  const dropPrivate = (dumpLevel & level.cachePrivate) !== 0;
  const dropUser = (dumpLevel & level.user) !== 0;
  const dropFree = (dumpLevel & level.free) !== 0;

  let next = 1;
  for (let i = run.start; i < run.end; i += next) {
    next = 1;
    const at = i * stride;
    if ((words[at + compoundHead]! & 1) !== 0) continue;

    let pages = 1;
    let hugetlb = false;
    if ((words[at + headAt]! & head) !== 0 && compound !== undefined && i + 1 < readable) {
      const tail = at + stride;
      const order = (words[tail + compound.orderWord]! >>> compound.orderShift) & 0xff;
      const size = 2 ** order;
      // An order that the page frame is not aligned to is somebody else's data.
      if (order < 64 && (origin + i) % size === 0) pages = size;
      const mark = compound.hugetlb;
      if (mark.by === 'type') hugetlb = (words[at + mapcountAt]! | 0) === mark.value;
      else if (mark.by === 'flag') hugetlb = (words[tail + mark.flag.word]! & mark.flag.mask) !== 0;
      else hugetlb = ((words[tail + mark.word]! >>> mark.shift) & 0xff) === mark.value;
    }

    const mapcount = words[at + mapcountAt]! | 0;
    const isSlab = mapcount === slabType || (words[at + slabAt]! & slab) !== 0;
    const pfn = origin + i;

    if (dropFree) {
      if (mapcount === buddyType && !isSlab) {
        const order = words[at + privateAt]!;
        if (order >= orders || words[at + privateAt + 1] !== 0) {
          doubts.badOrder++;
          continue;
        }
        next = 1 << order;
        excluded.free += bitmap.clearRange(pfn, pfn + next);
        continue;
      }
      if (mapcount === unacceptedType) {
        // Unaccepted memory of a confidential guest is handed out in blocks of the largest order.
        next = 1 << (orders - 1);
        excluded.free += bitmap.clearRange(pfn, pfn + next);
        continue;
      }
    }

    const isAnon = (words[at + mappingAt]! & 1) !== 0 && !isSlab;
    const isCache =
      (words[at + lruAt]! & lru) !== 0 ||
      ((words[at + swapcacheAt]! & swapcache) !== 0 &&
        (swapcacheAlone || (words[at + swapbackedAt]! & swapbacked) !== 0));
    const isPrivate = (words[at + privateFlagAt]! & privateFlag) !== 0;

    let reason: keyof Excluded;
    if (isCache && !isAnon && (dropPrivate || (dropCache && !isPrivate)))
      reason = isPrivate ? 'cachePrivate' : 'cache';
    else if (dropUser && (isAnon || hugetlb)) reason = 'user';
    else if ((words[at + hwpoisonAt]! & hwpoison) !== 0) reason = 'hwpoison';
    else if (mapcount === offlineType && !isSlab) reason = 'offline';
    else continue;

    if (pages === 1) {
      if (bitmap.clear(pfn)) excluded[reason]++;
    } else {
      next = pages;
      excluded[reason] += bitmap.clearRange(pfn, pfn + pages);
    }
  }
}

/** A flag that no page has, for what a kernel does not know. */
const alwaysClear = (flagsAt: number): PageFlag => ({ word: flagsAt, mask: 0 });
