import { type Codec, codecFlag, dumpLayout } from '../formats/diskdump.ts';
import { architectureOf } from '../kernel/architectures.ts';
import { type KernelMemory, openKernelMemory } from '../kernel/open.ts';
import { pageLayout } from '../kernel/page.ts';
import { endOfSections, readSections } from '../kernel/sparsemem.ts';
import { utsnameBytes } from '../kernel/utsname.ts';
import { PageBitmap } from '../lib/bitmap.ts';
import { describeError, KdumpError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import { copyPages } from './copy.ts';
import {
  type Doubts,
  type Excluded,
  excludePages,
  level,
  needsPageDescriptors,
  noneExcluded,
  type PfnRange,
} from './filter.ts';
import { KdumpWriter } from './kdump-writer.ts';
import type { CollectRequest } from './options.ts';
import { openPageCompressor } from './page-compressor.ts';
import { Vmcore } from './vmcore.ts';

/** What the collector tells while it works. */
export type CollectHooks = {
  progress: Progress;
  /** One sentence for the user, without a newline. */
  message(text: string): void;
};

/** What was done; plain JSON. Page counts are pages of `pageSize` bytes. */
export type CollectReport = {
  readonly vmcore: string;
  readonly output: string;
  /** Release of the crashed kernel, when it says. */
  readonly release: string | undefined;
  /** Seconds since the epoch; 0 when unknown. */
  readonly crashTime: number;
  readonly dumpLevel: number;
  readonly compression: Codec;
  /** Library that compressed. */
  readonly library: string | undefined;
  readonly pageSize: number;
  readonly pages: {
    /** Page frames from 0 to the highest one. */
    readonly total: number;
    /** Frames that no segment of the vmcore covers. */
    readonly holes: number;
    readonly original: number;
    readonly excluded: Excluded;
    /** Pages whose content is in the dump (a zero page is not). */
    readonly remaining: number;
  };
  readonly doubts: Doubts;
  /** Bytes written to the output. */
  readonly bytes: number;
  readonly seconds: { readonly filter: number; readonly copy: number };
};

/**
 * Filters and compresses a vmcore into a kdump-compressed file.
 *
 * What cannot be understood is kept and reported: a crash cannot be repeated. What is refused is refused before the
 * output exists.
 * @throws KdumpError; with code `no-space` the output is there, readable and marked incomplete
 */
export function collect(request: CollectRequest, hooks: CollectHooks): CollectReport {
  const vmcore = new Vmcore(request.vmcore);
  try {
    return collectFrom(vmcore, request, hooks);
  } finally {
    vmcore.close();
  }
}

function collectFrom(vmcore: Vmcore, request: CollectRequest, hooks: CollectHooks): CollectReport {
  const arch = architectureOf(vmcore.machine, vmcore.path);
  const info = vmcore.vmcoreinfo;
  if (info === undefined && request.dumpLevel > level.zero) {
    throw new KdumpError('no-vmcoreinfo', `${vmcore.path}: no VMCOREINFO note, so page types are unknown`, {
      fix: 'Dump levels 0 and 1 need none and still work.',
    });
  }
  const pageSize = info?.pageSize ?? arch.pageSize;
  if (pageSize === undefined)
    throw new KdumpError('no-page-size', `${vmcore.path}: VMCOREINFO does not tell the page size`);

  const kernel = info && openKernelMemory(arch, info, vmcore, vmcore.segments);
  if (kernel?.doubt !== undefined)
    hooks.message(`Cannot trust kernel addresses (${kernel.doubt}); every page is kept.`);
  const map = mapPages(vmcore, arch, kernel, request.dumpLevel, pageSize, hooks);

  const started = seconds();
  const bitmap = new PageBitmap(map.maxPfn, dumpLayout(pageSize, 0, map.maxPfn, 0).bitmapBytes);
  for (const range of map.ranges) bitmap.setRange(range.start, range.end);
  const original = bitmap.count();
  const verdict =
    map.descriptors && kernel
      ? excludePages(
          kernel.memory,
          map.descriptors.sections,
          map.descriptors.page,
          request.dumpLevel,
          map.ranges,
          bitmap,
          hooks.progress,
        )
      : { excluded: noneExcluded(), doubts: { unreadable: 0, badOrder: 0 } };
  tellDoubts(verdict.doubts, hooks);
  clearPagesWithoutData(vmcore, pageSize, bitmap);
  const filtered = seconds();

  const dumpable = bitmap.count();
  const compressor = openPageCompressor(request.compression, hooks.message);
  const layout = dumpLayout(pageSize, vmcore.notes.length, map.maxPfn, dumpable);
  const writer = new KdumpWriter(
    request.output,
    request.overwrite,
    {
      layout,
      utsname: kernel?.utsname ?? new Uint8Array(utsnameBytes),
      crashTime: info?.crashTime ?? 0,
      status: codecFlag[compressor.codec],
      maxMapnr: map.maxPfn,
      nrCpus: vmcore.cpuCount,
      physBase: kernel?.physBase ?? 0n,
      dumpLevel: request.dumpLevel,
      notes: vmcore.notes,
      vmcoreinfoOffset: vmcore.vmcoreinfoOffset,
      vmcoreinfoSize: vmcore.vmcoreinfoSize,
    },
    presentBitmap(map.ranges, map.maxPfn, layout.bitmapBytes),
    bitmap,
    compressor.slack(pageSize),
  );
  try {
    const zero = copyPages(
      vmcore,
      bitmap,
      dumpable,
      pageSize,
      compressor,
      (request.dumpLevel & level.zero) !== 0,
      writer,
      hooks,
    );
    writer.finish();
    const excluded = { ...verdict.excluded, zero };
    return {
      vmcore: vmcore.path,
      output: request.output,
      release: info?.osrelease,
      crashTime: info?.crashTime ?? 0,
      dumpLevel: request.dumpLevel,
      compression: compressor.codec,
      library: compressor.library,
      pageSize,
      pages: {
        total: map.maxPfn,
        holes: map.maxPfn - original,
        original,
        excluded,
        remaining: dumpable - zero,
      },
      doubts: verdict.doubts,
      bytes: writer.written,
      seconds: { filter: filtered - started, copy: seconds() - filtered },
    };
  } finally {
    writer.close();
  }
}

type PageMap = {
  /** Number of page frames that the dump describes. */
  readonly maxPfn: number;
  /** Page frames that exist, sorted and disjoint. */
  readonly ranges: readonly PfnRange[];
  /** How to find and read page descriptors; undefined when the level needs none or they cannot be understood. */
  readonly descriptors:
    | { readonly sections: ReturnType<typeof readSections>; readonly page: ReturnType<typeof pageLayout> }
    | undefined;
};

function mapPages(
  vmcore: Vmcore,
  arch: ReturnType<typeof architectureOf>,
  kernel: KernelMemory | undefined,
  dumpLevel: number,
  pageSize: number,
  hooks: CollectHooks,
): PageMap {
  const highest = Math.max(0, ...vmcore.ranges.map((range) => Math.ceil(range.end / pageSize)));
  const info = vmcore.vmcoreinfo;
  if (info === undefined || kernel === undefined || kernel.doubt !== undefined) {
    return { maxPfn: highest, ranges: pageRanges(vmcore, pageSize, highest), descriptors: undefined };
  }
  try {
    const sections = readSections(info, arch, kernel.memory, highest, pageSize);
    const maxPfn = Math.min(highest, endOfSections(sections));
    const page = pageLayout(info);
    if ((dumpLevel & level.free) !== 0 && page.buddyType === undefined) {
      hooks.message(
        'The kernel does not tell how it marks free pages (PAGE_BUDDY_MAPCOUNT_VALUE); free pages are kept.',
      );
    }
    const wanted = needsPageDescriptors(dumpLevel, page);
    return {
      maxPfn,
      ranges: pageRanges(vmcore, pageSize, maxPfn),
      descriptors: wanted ? { sections, page } : undefined,
    };
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    hooks.message(`${describeError(error)}; every page is kept.`);
    return { maxPfn: highest, ranges: pageRanges(vmcore, pageSize, highest), descriptors: undefined };
  }
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
function clearPagesWithoutData(vmcore: Vmcore, pageSize: number, bitmap: PageBitmap): void {
  let from = 0;
  for (const extent of vmcore.extents) {
    const start = Math.floor(extent.start / pageSize);
    if (start > from) bitmap.clearRange(from, start);
    from = Math.max(from, Math.ceil(extent.end / pageSize));
  }
  bitmap.clearRange(from, bitmap.length);
}

/** Bitmap 1 in pieces, so that it need not be held whole next to bitmap 2. */
function* presentBitmap(
  ranges: readonly PfnRange[],
  maxPfn: number,
  bitmapBytes: number,
): Generator<Uint8Array> {
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

function tellDoubts(doubts: Doubts, hooks: CollectHooks): void {
  if (doubts.unreadable > 0)
    hooks.message(`${doubts.unreadable} pages have no readable descriptor; they are kept.`);
  if (doubts.badOrder > 0)
    hooks.message(`${doubts.badOrder} free blocks claim an order that cannot be; they are kept.`);
}

const seconds = (): number => performance.now() / 1000;
