import { codecFlag, dumpLayout } from '../formats/diskdump.ts';
import { utsnameBytes } from '../kernel/utsname.ts';
import type { Progress } from '../lib/progress.ts';
import { copyPages } from './copy.ts';
import { type Doubts, type Excluded, excludePages, level, noneExcluded } from './filter.ts';
import { KdumpWriter } from './kdump-writer.ts';
import type { CollectRequest } from './options.ts';
import { type Compression, openPageCompressor } from './page-compressor.ts';
import { clearPagesWithoutData, mapPages, presentBitmap, presentPages } from './page-map.ts';
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
  readonly compression: Compression;
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
  const info = vmcore.vmcoreinfo;
  const map = mapPages(vmcore, request.dumpLevel, hooks.message);
  const { pageSize, maxPfn, kernel } = map;

  const started = seconds();
  const bitmap = presentPages(map);
  const original = bitmap.count();
  const verdict =
    map.descriptors === undefined
      ? { excluded: noneExcluded(), doubts: { unreadable: 0, badOrder: 0 } }
      : excludePages(
          { ...map.descriptors, dumpLevel: request.dumpLevel, ranges: map.ranges, bitmap },
          hooks.progress,
        );
  tellDoubts(verdict.doubts, hooks);
  clearPagesWithoutData(vmcore, pageSize, bitmap);
  const filtered = seconds();

  const dumpable = bitmap.count();
  const compressor = openPageCompressor(request.compression, hooks.message);
  const layout = dumpLayout(pageSize, vmcore.notes.length, maxPfn, dumpable);
  const writer = new KdumpWriter({
    path: request.output,
    overwrite: request.overwrite,
    header: {
      layout,
      utsname: kernel?.utsname ?? new Uint8Array(utsnameBytes),
      crashTime: info?.crashTime ?? 0,
      status: codecFlag[compressor.codec],
      maxMapnr: maxPfn,
      nrCpus: vmcore.cpuCount,
      physBase: kernel?.physBase ?? 0n,
      dumpLevel: request.dumpLevel,
      notes: vmcore.notes,
      vmcoreinfoOffset: vmcore.vmcoreinfoOffset,
      vmcoreinfoSize: vmcore.vmcoreinfoSize,
    },
    bitmap1: presentBitmap(map, layout.bitmapBytes),
    bitmap2: bitmap,
    slack: compressor.slack(pageSize),
  });
  try {
    const shareZero = (request.dumpLevel & level.zero) !== 0;
    const zero = copyPages(
      { vmcore, bitmap, total: dumpable, pageSize, compressor, shareZero, writer },
      hooks.progress,
    );
    writer.finish();
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
        total: maxPfn,
        holes: maxPfn - original,
        original,
        excluded: { ...verdict.excluded, zero },
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

function tellDoubts(doubts: Doubts, hooks: CollectHooks): void {
  if (doubts.unreadable > 0)
    hooks.message(`${doubts.unreadable} pages have no readable descriptor; they are kept.`);
  if (doubts.badOrder > 0)
    hooks.message(`${doubts.badOrder} free blocks claim an order that cannot be; they are kept.`);
}

const seconds = (): number => performance.now() / 1000;
