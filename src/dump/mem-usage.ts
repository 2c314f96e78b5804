import { readNotes } from '../formats/elf.ts';
import { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import type { PageBitmap } from '../lib/bitmap.ts';
import { KdumpError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import { readVmcoreinfoPlace } from '../system/proc.ts';
import { excludePages } from './filter/filter.ts';
import { type Doubts, type Excluded, maxLevel } from './filter/kinds.ts';
import { mapPages } from './filter/page-map.ts';
import { type Judge, planCycles, selectPages } from './filter/selection.ts';
import { zeroTest } from './filter/zero-pages.ts';
import { openSource } from './input/open.ts';
import type { DumpSource } from './input/source.ts';

/** What the memory of a kernel is used for; plain JSON. Counts are pages of `pageSize` bytes. */
export type MemoryUsage = {
  readonly source: string;
  readonly release: string | undefined;
  /** Bytes. */
  readonly pageSize: number;
  readonly pages: {
    /** All that exist. */
    readonly total: number;
    /** Kinds that a dump level can leave out, each page counted once. */
    readonly excludable: Excluded;
    /** The rest: what a dump of level 31 holds. */
    readonly kernelData: number;
    /** Of the rest, those whose content could not be read. */
    readonly unreadable: number;
  };
  readonly doubts: Doubts;
};

export type UsageHooks = {
  readonly progress: Progress;
  /** One sentence for the user, without a newline. */
  message(text: string): void;
};

/** 128 GiB of 4 KiB pages at once. */
const bitmapBytes = 4 * 2 ** 20;
const zeroLabel = 'Excluding zero pages';

/**
 * Counts the pages of the running kernel by kind.
 * @param path /proc/kcore
 * @param root in which /sys lies
 * @throws KdumpError when the file is no core of a kernel that can be understood
 */
export function liveMemoryUsage(path: string, root: string, hooks: UsageHooks): MemoryUsage {
  // Reading costs nothing here that mapping would save: /proc/kcore cannot be mapped.
  const source = openSource([path], { mapped: false });
  try {
    return memoryUsage(source, hooks, source.vmcoreinfo ?? liveVmcoreinfo(source, root));
  } finally {
    source.close();
  }
}

/**
 * VMCOREINFO of the running kernel, from where /sys/kernel/vmcoreinfo says: /proc/kcore has it as a note since 4.19.
 * @throws KdumpError `no-vmcoreinfo`
 */
export function liveVmcoreinfo(source: DumpSource, root: string): Vmcoreinfo {
  const place = readVmcoreinfoPlace(root);
  if (place === null) {
    throw new KdumpError(
      'no-vmcoreinfo',
      `${source.path}: no VMCOREINFO note, and /sys/kernel/vmcoreinfo does not tell where the kernel keeps it`,
      { fix: 'The kernel needs CONFIG_VMCORE_INFO (CONFIG_CRASH_CORE before 6.9) and /sys must be mounted.' },
    );
  }
  const bytes = new Uint8Array(place.size);
  const failed = source.readInto(place.paddr, bytes);
  const note = failed ? undefined : readNotes(bytes).find((n) => n.name === 'VMCOREINFO');
  if (note === undefined) {
    throw new KdumpError(
      'no-vmcoreinfo',
      `${source.path}: no VMCOREINFO at physical address 0x${place.paddr.toString(16)}, where /sys/kernel/vmcoreinfo says it is`,
      { fix: 'A kernel before 4.11 does not tell the physical addresses of /proc/kcore.' },
    );
  }
  return Vmcoreinfo.fromBytes(note.description);
}

/**
 * Counts the pages of a dump, or of /proc/kcore, by kind, in the order of the filter; zero pages are counted last,
 * among what is left, as in the original. The running kernel's memory changes meanwhile: a page that cannot be read
 * is counted and kept.
 * @throws KdumpError `not-understood` when page descriptors cannot be found
 */
export function memoryUsage(source: DumpSource, hooks: UsageHooks, vmcoreinfo?: Vmcoreinfo): MemoryUsage {
  const doubts: string[] = [];
  const map = mapPages(source, maxLevel, (text) => doubts.push(text), { vmcoreinfo });
  if (map.descriptors === undefined) {
    throw new KdumpError('not-understood', `${source.path}: ${doubts.join(' ')}`, {
      fix: 'Without page descriptors nothing can be said of what the pages hold.',
    });
  }
  for (const text of doubts) hooks.message(text);
  const { pageSize, maxPfn } = map;
  const bytes = Math.ceil(maxPfn / 8);
  const memory = new Uint8Array(Math.min(bytes, bitmapBytes));
  const found = { zero: 0, unreadable: 0 };
  const { descriptors } = map;
  const judge: Judge = (bitmap, take) =>
    take(
      excludePages({ ...descriptors, dumpLevel: maxLevel, bitmap }, () => {}),
      bitmap.end,
    );
  const totals = selectPages(
    { source, map, judge, also: undefined },
    planCycles(maxPfn, bytes, bitmapBytes),
    memory,
    undefined,
    (_, kept) =>
      countZeroPages(source, kept, pageSize, found, (pfn) => hooks.progress(zeroLabel, pfn, maxPfn)),
    hooks.progress,
  );
  hooks.progress(zeroLabel, maxPfn, maxPfn);
  return {
    source: source.path,
    release: (vmcoreinfo ?? source.vmcoreinfo)?.osrelease,
    pageSize,
    pages: {
      total: totals.original,
      excludable: { ...totals.excluded, zero: totals.excluded.zero + found.zero },
      kernelData: totals.kept - found.zero,
      unreadable: found.unreadable,
    },
    doubts: totals.doubts,
  };
}

function countZeroPages(
  source: DumpSource,
  kept: PageBitmap,
  pageSize: number,
  found: { zero: number; unreadable: number },
  progress: (pfn: number) => void,
): void {
  const isZero = zeroTest(pageSize);
  const reader = source.pages(pageSize, kept);
  let pages = 0;
  for (let pfn = kept.nextSet(kept.first); pfn < kept.end; pfn = kept.nextSet(pfn + 1)) {
    if (reader.load(pfn) !== undefined) found.unreadable++;
    else if (isZero(reader.bytes, reader.at)) found.zero++;
    if ((++pages & 0xfff) === 0) progress(pfn);
  }
}

/** The table of `makedumpfile --mem-usage`, in its words and columns. */
export function formatMemoryUsage({ pageSize, pages }: MemoryUsage): string {
  const { excludable } = pages;
  const row = (type: string, tabs: string, count: number, can: boolean, description: string): string =>
    `${type}${tabs}${`${count}`.padEnd(16)}\t${can ? 'yes' : 'no'}\t\t${description}`;
  return [
    '',
    'TYPE\t\tPAGES\t\t\tEXCLUDABLE\tDESCRIPTION',
    '-'.repeat(70),
    row('ZERO', '\t\t', excludable.zero, true, 'Pages filled with zero'),
    row('NON_PRI_CACHE', '\t', excludable.cache, true, 'Cache pages without private flag'),
    row('PRI_CACHE', '\t', excludable.cachePrivate, true, 'Cache pages with private flag'),
    row('USER', '\t\t', excludable.user, true, 'User process pages'),
    row('FREE', '\t\t', excludable.free, true, 'Free pages'),
    row('KERN_DATA', '\t', pages.kernelData, false, 'Dumpable kernel data '),
    '',
    `page size:\t\t${`${pageSize}`.padEnd(16)}`,
    `Total pages on system:\t${`${pages.total}`.padEnd(16)}`,
    `Total size on system:\t${`${pages.total * pageSize}`.padEnd(16)} Byte`,
    '',
  ].join('\n');
}
