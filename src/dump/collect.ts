import { KdumpError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import { keepHeapSmall } from '../system/heap.ts';
import { type Compression, openPageCompressor, type PageCompressor } from './crew/page-compressor.ts';
import type { Written } from './dump-work.ts';
import type { Doubts, Excluded } from './filter/kinds.ts';
import { mapPages, type PageMap } from './filter/page-map.ts';
import { openSource } from './input/open.ts';
import type { DumpSource } from './input/source.ts';
import { KernelDescription } from './kernel-description.ts';
import { openFileSink } from './output/file-sink.ts';
import { openFlattenedSink } from './output/flattened-sink.ts';
import { openNullSink } from './output/null-sink.ts';
import type { Sink } from './output/sink.ts';
import type { CollectRequest, DumpTarget } from './request.ts';
import { type Suspicion, suspicions } from './suspicion.ts';
import { chooseThreads } from './threads.ts';
import { writeElf } from './write-elf.ts';
import { writeKdump } from './write-kdump.ts';

/** What the collector tells while it works. */
export type CollectHooks = {
  progress: Progress;
  /** One sentence for the user, without a newline. */
  message(text: string): void;
};

/** What was done; plain JSON. Page counts are pages of `pageSize` bytes. */
export type CollectReport = {
  readonly vmcore: string;
  /** Files that were written; none for a stream. */
  readonly outputs: readonly string[];
  /** Release of the crashed kernel, when it says. */
  readonly release: string | undefined;
  /** Seconds since the epoch; 0 when unknown. */
  readonly crashTime: number;
  readonly format: 'kdump' | 'elf';
  readonly dumpLevel: number;
  readonly compression: Compression;
  /** Library that compressed. */
  readonly library: string | undefined;
  readonly threads: number;
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
    /** Pages that should be there and could not be read. */
    readonly unreadable: number;
    /** Pages that an ELF dump leaves out: fewer than are excluded, since short runs of them are written along. */
    readonly excludedInElf?: number;
  };
  readonly doubts: Doubts;
  /** What is hardly so about these numbers. */
  readonly suspicions: readonly Suspicion[];
  /** Bytes written to all outputs. */
  readonly bytes: number;
  readonly seconds: { readonly filter: number; readonly copy: number };
};

/** Bytes of bitmap 2 that are held: 128 GiB of 4 KiB pages in one cycle. */
const defaultCycle = 4 * 2 ** 20;
/** Granularity of cycles: whole GiB of 4 KiB pages. */
const cycleStep = 32 * 1024;

/**
 * Filters a vmcore or a dump and writes a new dump.
 *
 * What cannot be understood is kept and reported: a crash cannot be repeated. What is refused is refused before the
 * output exists.
 * @throws KdumpError; with code `no-space` the output is there, readable and marked incomplete
 */
export function collect(request: CollectRequest, hooks: CollectHooks): CollectReport {
  keepHeapSmall();
  const source = openSource(request.inputs, { mapped: request.mapped });
  try {
    const levels = request.dumpLevels;
    const description = new KernelDescription(source, request);
    try {
      for (const [i, dumpLevel] of levels.entries()) {
        const isLast = i === levels.length - 1;
        const report = attempt(source, description, request, dumpLevel, isLast, hooks);
        if (report !== undefined) return report;
        hooks.message(
          `There is too little space at dump level ${dumpLevel}; trying again at dump level ${levels[i + 1]}.`,
        );
      }
      throw new KdumpError('usage', 'no dump level is given');
    } finally {
      description.close();
    }
  } finally {
    source.close();
  }
}

/** One level. @returns undefined when there is too little space and another level to try */
function attempt(
  source: DumpSource,
  description: KernelDescription,
  request: CollectRequest,
  asked: number,
  isLast: boolean,
  hooks: CollectHooks,
): CollectReport | undefined {
  const dumpLevel = asked | (source.made?.dumpLevel ?? 0);
  if (dumpLevel !== asked) {
    hooks.message(
      `dump_level is changed to ${dumpLevel}, because ${source.path} was created by dump_level(${source.made?.dumpLevel}).`,
    );
  }
  const { vmcoreinfo } = description;
  const map = mapPages(source, dumpLevel, hooks.message, { vmcoreinfo });
  description.check(map);
  const erasure =
    request.eraseConfig === undefined
      ? undefined
      : description.erasure(request.eraseConfig, map, hooks.message);
  const compressor = openPageCompressor(request.compression, hooks.message);
  const threads = request.threads ?? chooseThreads(map.maxPfn * map.pageSize);
  const splitPages = splitPagesOf(request.target, map.pageSize);
  const sinks = openSinks(request);
  const began = performance.now();
  try {
    const write = request.format === 'elf' ? writeElf : writeKdump;
    const written = write(
      {
        source,
        map,
        dumpLevel,
        compressor,
        threads,
        paths: request.inputs,
        mapped: request.mapped,
        vmcoreinfo: vmcoreinfo?.text,
        cycleBytes: cycleBytesOf(request),
        excludeVmemmap: request.excludeVmemmap,
        erasure,
        sinks,
        splitPages,
      },
      hooks.progress,
    );
    const report = reportOf(source, request, map, dumpLevel, compressor, threads, written, sinks, began);
    tellDoubts(report, hooks);
    closeAll(sinks);
    return report;
  } catch (error) {
    const again =
      !isLast &&
      error instanceof KdumpError &&
      error.code === 'no-space' &&
      sinks.every((sink) => sink.rewritable);
    const worthless = error instanceof KdumpError && error.code === 'no-space-for-headers';
    if (again || worthless) for (const sink of sinks) sink.discard();
    closeAll(sinks);
    if (again) return undefined;
    throw error;
  }
}

function closeAll(sinks: readonly Sink[]): void {
  for (const sink of sinks) sink.close();
}

function openSinks({ target, limit, inputs }: CollectRequest): Sink[] {
  const room = limit === undefined ? {} : { limit };
  switch (target.kind) {
    case 'stream':
      return [openFlattenedSink(target.output ?? 1, room)];
    case 'nothing':
      return target.paths.map((path) => openNullSink(path, room));
    case 'file':
      return [openFileSink(target.path, { overwrite: target.overwrite, inputs, ...room })];
    case 'split': {
      const sinks: Sink[] = [];
      try {
        for (const path of target.paths)
          sinks.push(openFileSink(path, { overwrite: target.overwrite, inputs, ...room }));
      } catch (error) {
        for (const sink of sinks) {
          sink.discard();
          sink.close();
        }
        throw error;
      }
      return sinks;
    }
  }
}

const cycleBytesOf = ({ cycleBytes = defaultCycle }: CollectRequest): number =>
  Math.max(cycleStep, cycleBytes - (cycleBytes % cycleStep));

function splitPagesOf(target: DumpTarget, pageSize: number): number | undefined {
  if (target.kind !== 'split' || target.block === undefined) return undefined;
  // crash(8) counts whole 64-bit words of the bitmap from where a part begins.
  if (target.block % (pageSize * 64) !== 0) {
    throw new KdumpError(
      'usage',
      `option '--splitblock-size': ${target.block} bytes are no multiple of 64 pages (${pageSize * 64} bytes)`,
    );
  }
  return target.block / pageSize;
}

function reportOf(
  source: DumpSource,
  request: CollectRequest,
  map: PageMap,
  dumpLevel: number,
  compressor: PageCompressor,
  threads: number,
  { totals, copied, filteredAt }: Written,
  sinks: readonly Sink[],
  began: number,
): CollectReport {
  const pages = {
    total: map.maxPfn,
    holes: map.maxPfn - totals.original,
    original: totals.original,
    excluded: { ...totals.excluded, zero: totals.excluded.zero + copied.zero },
    remaining: totals.kept - copied.zero,
    unreadable: copied.unreadable,
    ...(copied.inElf === undefined ? {} : { excludedInElf: totals.original - copied.inElf }),
  };
  const { pageSize } = map;
  const { doubts } = totals;
  const inputLevel = source.made?.dumpLevel ?? 0;
  return {
    vmcore: source.path,
    outputs: outputsOf(request.target),
    release: source.vmcoreinfo?.osrelease,
    crashTime: source.made?.crashTime ?? source.vmcoreinfo?.crashTime ?? 0,
    format: request.format,
    dumpLevel,
    compression: compressor.codec,
    library: compressor.library,
    threads,
    pageSize,
    pages,
    doubts,
    suspicions: suspicions({ dumpLevel, inputLevel, pageSize, pages, doubts }),
    bytes: sinks.reduce((sum, sink) => sum + sink.written, 0),
    seconds: { filter: (filteredAt - began) / 1000, copy: (performance.now() - filteredAt) / 1000 },
  };
}

function outputsOf(target: DumpTarget): readonly string[] {
  if (target.kind === 'file') return [target.path];
  return target.kind === 'stream' ? [] : target.paths;
}

function tellDoubts({ doubts, pages, suspicions }: CollectReport, hooks: CollectHooks): void {
  if (doubts.unreadable > 0)
    hooks.message(`${doubts.unreadable} pages have no readable descriptor; they are kept.`);
  if (doubts.badOrder > 0)
    hooks.message(`${doubts.badOrder} free blocks claim an order that cannot be; they are kept.`);
  if (doubts.protected > 0) {
    hooks.message(
      `${doubts.protected} pages of the kernel look like user data or page cache by their descriptors; they are kept.`,
    );
  }
  if (pages.unreadable > 0) {
    hooks.message(
      `${pages.unreadable} pages could not be read; they are missing in the dump, which is marked incomplete.`,
    );
  }
  for (const { text } of suspicions) hooks.message(text);
}
