import { type Doubts, type Excluded, level, maxLevel } from './filter/kinds.ts';

/** What a filtered dump's numbers are judged by. */
export type Numbers = {
  /** 0 to 31. */
  readonly dumpLevel: number;
  /** Level of the input when that was filtered already; 0 for a raw core. */
  readonly inputLevel: number;
  /** Bytes. */
  readonly pageSize: number;
  readonly pages: { readonly original: number; readonly excluded: Excluded; readonly remaining: number };
  readonly doubts: Doubts;
};

/** Something that is hardly so; plain JSON. */
export type Suspicion = {
  readonly code:
    | 'no-free-pages'
    | 'no-user-pages'
    | 'no-page-cache'
    | 'unreadable-descriptors'
    | 'nothing-left-out';
  /** What was expected, what was found, and what to do. */
  readonly text: string;
};

/** Smaller machines may well have no page of one kind. */
const leastMemory = 64 * 2 ** 20;
const leastForShare = 256 * 2 ** 20;
const implausibleShare = 0.95;
const unreadableShare = 0.5;

const lookAtPages =
  'If the dump is larger than expected, look at some pages with --explain PFN: it shows what they were judged by.';

/**
 * Tells when a dump's page counts are implausible, which is how a kernel shows that lays out its pages in a way that
 * the filter does not understand. What is suspicious is only told: the dump has too many pages then, never too few.
 */
export function suspicions({ dumpLevel, inputLevel, pageSize, pages, doubts }: Numbers): Suspicion[] {
  const found: Suspicion[] = [];
  const { original, excluded, remaining } = pages;
  const bytes = original * pageSize;
  // A level that the input was made with has left nothing to find.
  const asked = dumpLevel & ~inputLevel;
  const add = (code: Suspicion['code'], text: string): void => {
    found.push({ code, text });
  };

  if (doubts.unreadable > original * unreadableShare && original > 0) {
    const share = percent(doubts.unreadable / original);
    add(
      'unreadable-descriptors',
      `The descriptors of ${doubts.unreadable} of ${original} pages (${share}) could not be read, so these pages are all kept. The input lacks them, or page tables lead elsewhere.`,
    );
    // What else is missing follows from it.
    return found;
  }
  if (bytes < leastMemory) return found;
  if ((asked & level.free) !== 0 && excluded.free === 0) {
    add(
      'no-free-pages',
      `No free page was found among ${original}. A running kernel always keeps some free, so this one may mark them in a way that is not understood. ${lookAtPages}`,
    );
  }
  if ((asked & level.user) !== 0 && excluded.user === 0) {
    add(
      'no-user-pages',
      `No page of a user process was found among ${original}. Unless the kernel crashed before its first process ran, it may mark them in a way that is not understood. ${lookAtPages}`,
    );
  }
  // Level 4 takes all page cache, level 2 only the part without private data.
  const wanted = asked & (level.cache | level.cachePrivate);
  if (wanted !== 0 && excluded.cache + excluded.cachePrivate === 0) {
    add(
      'no-page-cache',
      `No page of the page cache was found among ${original}. Unless the kernel crashed before it read its first file, it may mark them in a way that is not understood. ${lookAtPages}`,
    );
  }
  if (
    (asked & maxLevel) === maxLevel &&
    bytes > leastForShare &&
    remaining > original * implausibleShare &&
    found.length === 0
  ) {
    add(
      'nothing-left-out',
      `${percent(remaining / original)} of all pages are kept at dump level ${dumpLevel}; mostly it is less than half. ${lookAtPages}`,
    );
  }
  return found;
}

const percent = (share: number): string => `${Math.floor(share * 100)} %`;
