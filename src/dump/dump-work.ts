import { Crew } from './crew/crew.ts';
import type { PageCompressor } from './crew/page-compressor.ts';
import type { EditedPages, Erasure } from './erasure.ts';
import { level } from './filter/kinds.ts';
import type { PageMap } from './filter/page-map.ts';
import { type Cycle, type SelectionWork, selectPages, type Totals } from './filter/selection.ts';
import { UnusedDescriptors } from './filter/vmemmap.ts';
import type { DumpSource } from './input/source.ts';
import type { Sink } from './output/sink.ts';

/** Everything that is known before the first page is judged. */
export type DumpWork = {
  readonly source: DumpSource;
  readonly map: PageMap;
  readonly dumpLevel: number;
  readonly compressor: PageCompressor;
  readonly threads: number;
  /** What a worker needs to open the same source. */
  readonly paths: readonly string[];
  readonly mapped: boolean;
  /** Text that takes the place of the source's VMCOREINFO. */
  readonly vmcoreinfo: string | undefined;
  /** Bytes of bitmap to hold. */
  readonly cycleBytes: number;
  /** Leave out descriptors that describe nothing in the dump, too. */
  readonly excludeVmemmap: boolean;
  readonly erasure: Erasure | undefined;
  /** One, or those of a split set. */
  readonly sinks: readonly Sink[];
  /** Pages by which a set is divided; undefined: as it fits. */
  readonly splitPages: number | undefined;
};

/** Pages that were copied, and what they were. */
export type Copied = {
  pages: number;
  zero: number;
  unreadable: number;
  /** Pages that an ELF file holds: more than are kept, since short runs of others are written along. */
  inElf?: number;
};

export type Written = {
  readonly totals: Totals;
  readonly copied: Copied;
  /** performance.now() when the filter was done. */
  readonly filteredAt: number;
};

/** The threads for a dump. @param bitmapBytes of the largest bitmap that they work on */
export function openCrew(work: DumpWork, bitmapBytes: number): Crew {
  const { source, map, dumpLevel, compressor } = work;
  const shareZero = (dumpLevel & level.zero) !== 0;
  return new Crew({
    source,
    pageSize: map.pageSize,
    compressor,
    shareZero,
    dumpLevel,
    descriptors: () => map.descriptors,
    editor: work.erasure?.editor,
    threads: work.threads,
    slack: compressor.slack(map.pageSize),
    bitmapBytes,
    worker: {
      paths: work.paths,
      mapped: work.mapped,
      dumpLevel,
      vmcoreinfo: work.vmcoreinfo,
      guarded: map.descriptors?.guarded ?? [],
      compression: compressor.codec,
      shareZero,
      erase: work.erasure?.pieces ?? [],
    },
  });
}

/** Which pages are kept, judged by a crew. */
export function selectionOf(work: DumpWork, crew: Crew, cycles: readonly Cycle[]): SelectionWork {
  const { source, map } = work;
  const judged: SelectionWork = {
    source,
    map,
    judge: (bitmap, take) => crew.judge(bitmap, take),
    also: undefined,
  };
  return work.excludeVmemmap ? withoutUnused(judged, cycles, crew.bitmapBytes) : judged;
}

/** The same selection without the descriptors that describe nothing in it. They may lie in an earlier cycle. */
function withoutUnused(judged: SelectionWork, cycles: readonly Cycle[], memory: Uint8Array): SelectionWork {
  const { descriptors, pageSize, maxPfn } = judged.map;
  if (descriptors === undefined) return judged;
  const unused = new UnusedDescriptors(descriptors.memory, descriptors.sections, pageSize, maxPfn);
  if (cycles.length > 1)
    selectPages(
      judged,
      cycles,
      memory,
      undefined,
      (_, kept) => unused.survey(kept),
      () => {},
    );
  return {
    ...judged,
    also: (bitmap) => {
      if (cycles.length === 1) unused.survey(bitmap);
      return unused.clearIn(bitmap);
    },
  };
}

/** What was erased before, and what is erased now. */
export function eraseinfoOf({ source, erasure }: DumpWork, edited: EditedPages): Uint8Array {
  const before = source.made?.eraseinfo ?? new Uint8Array(0);
  return Buffer.concat([before, erasure?.info((pfn) => edited.has(pfn)) ?? new Uint8Array(0)]);
}
