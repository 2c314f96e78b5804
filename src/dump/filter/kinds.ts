import type { VirtualMemory } from '../../kernel/memory.ts';
import type { PageLayout } from '../../kernel/page.ts';
import type { SectionMap } from '../../kernel/sparsemem.ts';
import type { PageBitmap, PfnRange } from '../../lib/bitmap.ts';

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

/** Pages that were kept because they could not be judged, or because they must not go. */
export type Doubts = {
  /** Their struct page could not be read. */
  unreadable: number;
  /** They claim to be free blocks of an order that the kernel does not have. */
  badOrder: number;
  /** They look like user data or page cache, but lie in the kernel's image, its per-CPU areas or its page tables. */
  protected: number;
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

export const noDoubts = (): Doubts => ({ unreadable: 0, badOrder: 0, protected: 0 });

/** What the filter works on. */
export type FilterWork = {
  readonly memory: VirtualMemory;
  readonly sections: SectionMap;
  readonly page: PageLayout;
  /** 0 to 31. */
  readonly dumpLevel: number;
  /** Pages that exist, and of those the ones that are kept: what goes is cleared. Judged is what it covers. */
  readonly bitmap: PageBitmap;
  /** Page frames that are never taken for user data or page cache; sorted and disjoint. */
  readonly guarded: readonly PfnRange[];
};

export type Verdict = {
  readonly excluded: Excluded;
  readonly doubts: Doubts;
  /** A block that goes beyond the end of the bitmap: its end, and why it goes. */
  overflow: { readonly end: number; readonly reason: keyof Excluded } | undefined;
};
