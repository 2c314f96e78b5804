import type { PageFlag } from '../../kernel/page.ts';
import { PageBitmap } from '../../lib/bitmap.ts';
import type { Descriptors } from './descriptors.ts';
import { type FilterWork, level, maxLevel, noDoubts, noneExcluded, type Verdict } from './kinds.ts';

/** Descriptors to judge: [start, end); those up to `readable` may be looked at. */
export type DescriptorRun = Descriptors & { readonly readable: number };

/** Why a page goes; index into the counters of the hot loop. */
const reasons = ['cache', 'cachePrivate', 'user', 'free', 'hwpoison', 'offline'] as const;
const [isCacheReason, isPrivateReason, isUserReason, isFreeReason, isPoisonReason, isOfflineReason] = [
  0, 1, 2, 3, 4, 5,
] as const;

/**
 * Decides page by page, in the order of makedumpfile's __exclude_unnecessary_pages: the first reason that holds is the
 * one that counts. A free block or a compound page is one decision for all its pages.
 *
 * The hot loop of the filter: everything it needs is a local 32-bit number, bits are cleared and counted in place, and
 * page frames are counted from the start of the bitmap, since they may exceed 32 bits and indices may not.
 */
export function judgeRun(work: FilterWork, verdict: Verdict, run: DescriptorRun): void {
  const { page, dumpLevel, bitmap, guarded } = work;
  const { doubts } = verdict;
  const { words, origin } = run;
  const bits = bitmap.bytes;
  const counts = new Uint32Array(reasons.length);
  const stride = page.words;
  const { mapping: mappingAt, mapcount: mapcountAt, private: privateAt, compoundHead, orders } = page;
  // A type that a kernel does not have is one that no page has.
  const slabType = page.slabType ?? noType;
  const buddyType = page.buddyType ?? noType;
  const offlineType = page.offlineType ?? noType;
  const unacceptedType = page.unacceptedType ?? noType;
  const { word: lruAt, mask: lru } = page.lru;
  const { word: privateFlagAt, mask: privateFlag } = page.privateFlag;
  const { word: swapcacheAt, mask: swapcache } = page.swapcache;
  const { word: swapbackedAt, mask: swapbacked } = page.swapbacked ?? alwaysClear(page.flags);
  const swapcacheAlone = page.swapbacked === undefined;
  const { word: headAt, mask: head } = page.head;
  const { word: slabAt, mask: slab } = page.slabFlag ?? alwaysClear(page.flags);
  const { word: hwpoisonAt, mask: hwpoison } = page.hwpoison ?? alwaysClear(page.flags);
  const { compound } = page;

  const dropCache = (dumpLevel & level.cache) !== 0;
  const dropPrivate = (dumpLevel & level.cachePrivate) !== 0;
  const dropUser = (dumpLevel & level.user) !== 0;
  const dropFree = (dumpLevel & level.free) !== 0;

  const readable = run.readable - origin;
  const last = run.end - origin;
  const firstIndex = origin - bitmap.first;
  let guard = 0;
  let next = 1;
  for (let i = run.start - origin; i < last; i += next) {
    next = 1;
    const at = i * stride;
    if ((words[at + compoundHead]! & 1) !== 0) continue;

    let pages = 1;
    let hugetlb = false;
    if ((words[at + headAt]! & head) !== 0 && compound !== undefined && i + 1 < readable) {
      const tail = at + stride;
      // A head whose next page is no tail is not a head: the flag's bit means something else in that page.
      if ((words[tail + compoundHead]! & 1) !== 0) {
        const order = (words[tail + compound.orderWord]! >>> compound.orderShift) & 0xff;
        const size = 2 ** order;
        // An order that the page frame is not aligned to is somebody else's data.
        if (order < 64 && (origin + i) % size === 0) pages = size;
        const mark = compound.hugetlb;
        if (mark.by === 'type') hugetlb = (words[at + mapcountAt]! | 0) === mark.value;
        else if (mark.by === 'flag') hugetlb = (words[tail + mark.flag.word]! & mark.flag.mask) !== 0;
        else hugetlb = ((words[tail + mark.word]! >>> mark.shift) & 0xff) === mark.value;
      }
    }

    const mapcount = words[at + mapcountAt]! | 0;
    const isSlab = mapcount === slabType || (words[at + slabAt]! & slab) !== 0;

    let reason: number;
    if (dropFree && mapcount === buddyType && !isSlab) {
      const order = words[at + privateAt]!;
      if (order >= orders || words[at + privateAt + 1] !== 0) {
        doubts.badOrder++;
        continue;
      }
      pages = 1 << order;
      reason = isFreeReason;
    } else if (dropFree && mapcount === unacceptedType) {
      // Unaccepted memory of a confidential guest is handed out in blocks of the largest order.
      pages = 1 << (orders - 1);
      reason = isFreeReason;
    } else {
      const isAnon = (words[at + mappingAt]! & 1) !== 0 && !isSlab;
      const isCache =
        (words[at + lruAt]! & lru) !== 0 ||
        ((words[at + swapcacheAt]! & swapcache) !== 0 &&
          (swapcacheAlone || (words[at + swapbackedAt]! & swapbacked) !== 0));
      const isPrivate = (words[at + privateFlagAt]! & privateFlag) !== 0;
      if (isCache && !isAnon && (dropPrivate || (dropCache && !isPrivate)))
        reason = isPrivate ? isPrivateReason : isCacheReason;
      else if (dropUser && (isAnon || hugetlb)) reason = isUserReason;
      else if ((words[at + hwpoisonAt]! & hwpoison) !== 0) reason = isPoisonReason;
      else if (mapcount === offlineType && !isSlab) reason = isOfflineReason;
      else continue;

      if (guarded.length > 0 && reason !== isPoisonReason && reason !== isOfflineReason) {
        const pfn = origin + i;
        while (guard < guarded.length && guarded[guard]!.end <= pfn) guard++;
        if (guard < guarded.length && guarded[guard]!.start < pfn + pages) {
          doubts.protected += pages;
          continue;
        }
      }
    }

    if (pages === 1) {
      const index = firstIndex + i;
      const byte = bits[index >>> 3]!;
      const bit = 1 << (index & 7);
      if ((byte & bit) !== 0) {
        bits[index >>> 3] = byte & ~bit;
        counts[reason]!++;
      }
    } else {
      next = pages;
      const pfn = origin + i;
      counts[reason]! += bitmap.clearRange(pfn, pfn + pages);
      if (pfn + pages > bitmap.end) verdict.overflow = { end: pfn + pages, reason: reasons[reason]! };
    }
  }
  for (const [index, reason] of reasons.entries()) verdict.excluded[reason] += counts[index]!;
}

/** No 32-bit number. */
const noType = 2 ** 40;

/** A flag that no page has, for what a kernel does not know. */
const alwaysClear = (flagsAt: number): PageFlag => ({ word: flagsAt, mask: 0 });

let isWarm = false;

/**
 * Judges a few made-up pages of every kind. V8 throws the machine code of a loop away whenever it takes a branch for
 * the first time, and makes it anew 10 to 20 ms later: with a dozen branches that took longer than judging 5 GiB.
 */
export function warmUp({ page, memory, sections }: FilterWork): void {
  if (isWarm) return;
  isWarm = true;
  const frames = 64;
  const words = new Uint32Array(frames * page.words);
  const set = (pfn: number, { word, mask }: PageFlag): void => {
    words[pfn * page.words + word]! |= mask;
  };
  const put = (pfn: number, word: number, value: number | undefined): void => {
    words[pfn * page.words + word] = value ?? 0;
  };
  const withFlags = (...flags: (PageFlag | undefined)[]): void => {
    const pfn = next++;
    for (const flag of flags) if (flag !== undefined) set(pfn, flag);
  };
  const withType = (type: number | undefined, order = 0): void => {
    put(next, page.mapcount, type);
    put(next, page.private, order);
    next += 1 << Math.min(order, 1);
  };
  // From an even frame on, so that blocks of two are aligned.
  let next = 2;
  withType(page.buddyType, 1);
  withType(page.buddyType, page.orders);
  next += next & 1;
  for (const isHuge of [false, true]) {
    set(next, page.head);
    put(next, page.mapping, 1);
    put(next + 1, page.compoundHead, 1);
    const { compound } = page;
    if (compound !== undefined) {
      words[(next + 1) * page.words + compound.orderWord]! |= 1 << compound.orderShift;
      if (isHuge && compound.hugetlb.by === 'type') put(next, page.mapcount, compound.hugetlb.value);
    }
    next += 2;
  }
  withFlags(page.lru);
  withFlags(page.lru, page.privateFlag);
  withFlags(page.swapcache, page.swapbacked);
  withFlags(page.hwpoison);
  withFlags(page.slabFlag);
  put(next++, page.mapping, 1);
  withType(page.slabType);
  withType(page.offlineType);
  const guarded = [
    { start: 0, end: 1 },
    { start: next, end: next + 1 },
  ];
  put(next++, page.mapping, 1);
  // The last: it takes all that follow.
  withType(page.unacceptedType);
  const rounds = 32;
  for (let round = 0; round < rounds; round++) {
    const bitmap = new PageBitmap(frames);
    bitmap.setRange(0, frames);
    for (const dumpLevel of [maxLevel, level.cache, 0]) {
      const work = { page, memory, sections, dumpLevel, bitmap, guarded };
      const verdict = { excluded: noneExcluded(), doubts: noDoubts(), overflow: undefined };
      judgeRun(work, verdict, { words, origin: 0, start: 0, end: frames, readable: frames });
    }
  }
}
