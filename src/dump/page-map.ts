import { dumpLayout } from '../formats/diskdump.ts';
import { architectureOf } from '../kernel/architectures.ts';
import type { VirtualMemory } from '../kernel/memory.ts';
import { type KernelMemory, openKernelMemory } from '../kernel/open.ts';
import { type PageLayout, pageLayout } from '../kernel/page.ts';
import { endOfSections, readSections, type SectionMap } from '../kernel/sparsemem.ts';
import { PageBitmap } from '../lib/bitmap.ts';
import { describeError, KdumpError } from '../lib/errors.ts';
import { level, needsPageDescriptors, type PfnRange } from './filter.ts';
import type { Vmcore } from './vmcore.ts';

/** Which pages a vmcore describes, and how to learn what they are. */
export type PageMap = {
  /** Bytes. */
  readonly pageSize: number;
  /** Number of page frames that the dump describes. */
  readonly maxPfn: number;
  /** Page frames that exist, sorted and disjoint. */
  readonly ranges: readonly PfnRange[];
  /** The crashed kernel; undefined when the vmcore says nothing of it. */
  readonly kernel: KernelMemory | undefined;
  /** How to find and read page descriptors; undefined when the level needs none or they cannot be understood. */
  readonly descriptors:
    | { readonly memory: VirtualMemory; readonly sections: SectionMap; readonly page: PageLayout }
    | undefined;
};

/**
 * Maps the pages of a vmcore. What cannot be understood is told and costs the filter, not the dump.
 * @throws KdumpError `no-vmcoreinfo` for a level that needs one, `unsupported-architecture`, `no-page-size`
 */
export function mapPages(vmcore: Vmcore, dumpLevel: number, tell: (text: string) => void): PageMap {
  const arch = architectureOf(vmcore.machine, vmcore.path);
  const info = vmcore.vmcoreinfo;
  if (info === undefined && dumpLevel > level.zero) {
    throw new KdumpError('no-vmcoreinfo', `${vmcore.path}: no VMCOREINFO note, so page types are unknown`, {
      fix: 'Dump levels 0 and 1 need none and still work.',
    });
  }
  const pageSize = info?.pageSize ?? arch.pageSize;
  if (pageSize === undefined) {
    throw new KdumpError('no-page-size', `${vmcore.path}: VMCOREINFO does not tell the page size`);
  }
  const kernel = info && openKernelMemory(arch, info, vmcore, vmcore.segments);
  const highest = vmcore.ranges.reduce((pfn, range) => Math.max(pfn, Math.ceil(range.end / pageSize)), 0);
  const whole: PageMap = {
    pageSize,
    maxPfn: highest,
    ranges: pageRanges(vmcore, pageSize, highest),
    kernel,
    descriptors: undefined,
  };
  if (info === undefined || kernel === undefined) return whole;
  if (kernel.doubt !== undefined) {
    tell(`Cannot trust kernel addresses (${kernel.doubt}); every page is kept.`);
    return whole;
  }
  try {
    const { memory } = kernel;
    const sections = readSections(info, arch, memory, highest, pageSize);
    const page = pageLayout(info);
    if ((dumpLevel & level.free) !== 0 && page.buddyType === undefined) {
      tell(
        'The kernel does not tell how it marks free pages (PAGE_BUDDY_MAPCOUNT_VALUE); free pages are kept.',
      );
    }
    const maxPfn = Math.min(highest, endOfSections(sections));
    const wanted = needsPageDescriptors(dumpLevel, page);
    return {
      ...whole,
      maxPfn,
      ranges: pageRanges(vmcore, pageSize, maxPfn),
      descriptors: wanted ? { memory, sections, page } : undefined,
    };
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    tell(`${describeError(error)}; every page is kept.`);
    return whole;
  }
}

/** A bitmap of the pages that exist, of the size that a dump stores. */
export function presentPages({ pageSize, maxPfn, ranges }: PageMap): PageBitmap {
  const bitmap = new PageBitmap(maxPfn, dumpLayout(pageSize, 0, maxPfn, 0).bitmapBytes);
  for (const range of ranges) bitmap.setRange(range.start, range.end);
  return bitmap;
}

/** Page frames of the segments, overlaps merged, cut at `maxPfn`. A page that is covered in part counts. */
function pageRanges(vmcore: Vmcore, pageSize: number, maxPfn: number): PfnRange[] {
  const merged: { start: number; end: number }[] = [];
  const sorted = vmcore.ranges
    .map((range) => ({
      start: Math.floor(range.start / pageSize),
      end: Math.min(maxPfn, Math.ceil(range.end / pageSize)),
    }))
    .filter((range) => range.start < range.end)
    .sort((a, b) => a.start - b.start);
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else merged.push({ ...range });
  }
  return merged;
}

/** Pages that a segment describes but does not hold (p_memsz beyond p_filesz) cannot be copied. */
export function clearPagesWithoutData(vmcore: Vmcore, pageSize: number, bitmap: PageBitmap): void {
  let from = 0;
  for (const extent of vmcore.extents) {
    const start = Math.floor(extent.start / pageSize);
    if (start > from) bitmap.clearRange(from, start);
    from = Math.max(from, Math.ceil(extent.end / pageSize));
  }
  bitmap.clearRange(from, bitmap.length);
}

/** Bitmap 1 in pieces, so that it need not be held whole next to bitmap 2. */
export function* presentBitmap({ ranges, maxPfn }: PageMap, bitmapBytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bitmapBytes; at += bitmapPiece) {
    const length = Math.min(bitmapPiece, bitmapBytes - at);
    const first = at * 8;
    const piece = new PageBitmap(Math.max(0, Math.min(length * 8, maxPfn - first)), length);
    for (const range of ranges) {
      if (range.end > first && range.start < first + length * 8)
        piece.setRange(Math.max(0, range.start - first), range.end - first);
    }
    yield piece.bytes;
  }
}

const bitmapPiece = 2 ** 20;
