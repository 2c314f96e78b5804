import { codecFlag, type DumpHeader, dumpLayout, statusUnusedVmemmap } from '../formats/diskdump.ts';
import { utsnameBytes } from '../kernel/utsname.ts';
import type { Progress } from '../lib/progress.ts';
import { type PageBlock, unreadablePage, zeroPage } from './crew/page-block.ts';
import { type Copied, type DumpWork, eraseinfoOf, openCrew, selectionOf, type Written } from './dump-work.ts';
import { EditedPages } from './erasure.ts';
import { level } from './filter/kinds.ts';
import { bitmapOver, type Cycle, planCycles, selectPages } from './filter/selection.ts';
import { KdumpWriter } from './output/kdump-writer.ts';
import { type DumpWriter, SplitPlan, SplitWriter } from './output/split-writer.ts';

/**
 * Filters, compresses and writes kdump-compressed files, in one pass of the filter and one over the pages. Bitmap 2 of
 * more than one cycle is read back from the output, since it is stored there anyway; where that is not possible the
 * filter works a second time.
 */
export function writeKdump(work: DumpWork, progress: Progress): Written {
  const { map, dumpLevel, sinks } = work;
  const { pageSize, maxPfn } = map;
  const header = headerOf(work);
  const { bitmapBytes } = header.layout;
  const cycles = planCycles(maxPfn, bitmapBytes, work.cycleBytes);
  const shareZero = (dumpLevel & level.zero) !== 0;
  const crew = openCrew(work, Math.min(work.cycleBytes, bitmapBytes));
  let writer: DumpWriter | undefined;
  try {
    const writers = sinks.map((sink) => new KdumpWriter(sink, header));
    const split = sinks.length > 1 ? new SplitWriter(writers) : undefined;
    writer = split ?? writers[0]!;
    const output = writer;
    const plan = split && new SplitPlan(maxPfn, pageSize, sinks.length, work.splitPages);
    const memory = crew.bitmapBytes;
    const present = new Uint8Array(memory.length);
    const counts: number[] = [];
    const edited = new EditedPages(work.erasure, pageSize);
    const selection = selectionOf(work, crew, cycles);
    const totals = selectPages(
      selection,
      cycles,
      memory,
      present,
      (cycle, kept, count) => {
        output.writeBitmaps(cycle.byteOffset, present.subarray(0, cycle.byteLength), kept.bytes);
        plan?.count(kept);
        edited.look(kept);
        counts.push(count);
      },
      progress,
    );
    const filteredAt = performance.now();

    const parts = plan?.divide(sinks.length) ?? [];
    if (split !== undefined) split.begin(totals.kept, shareZero, parts);
    else writers[0]!.begin(totals.kept, shareZero);
    const boundaries = parts.map((part) => part.end);
    const copied: Copied = { pages: 0, zero: 0, unreadable: 0 };
    for (const cycle of cycles) {
      if (counts[cycle.index] === 0) continue;
      if (cycles.length > 1 && !readBack(cycle, memory, writers[0]!))
        selectPages(selection, [cycle], memory, undefined, () => {}, progress);
      crew.copy(bitmapOver(cycle, memory), boundaries, (block, start) => {
        output.append(block, start);
        countPages(block, copied);
        progress(copyLabel, copied.pages, totals.kept);
      });
    }
    if (totals.kept === 0) progress(copyLabel, 0, 0);
    output.finish(eraseinfoOf(work, edited), copied.unreadable > 0);
    return { totals, copied, filteredAt };
  } catch (error) {
    writer?.giveUp();
    throw error;
  } finally {
    crew.close();
  }
}

const copyLabel = 'Copying data';

function countPages(block: PageBlock, copied: Copied): void {
  copied.pages += block.count;
  for (let i = 0; i < block.count; i++) {
    if (block.flags[i] === zeroPage) copied.zero++;
    else if (block.flags[i] === unreadablePage) copied.unreadable++;
  }
}

function headerOf({ source, map, dumpLevel, compressor, excludeVmemmap }: DumpWork): DumpHeader {
  const { made, notes } = source;
  return {
    layout: dumpLayout(map.pageSize, notes.length, map.maxPfn, 0),
    utsname: map.kernel?.utsname ?? made?.utsname ?? new Uint8Array(utsnameBytes),
    crashTime: made?.crashTime ?? source.vmcoreinfo?.crashTime ?? 0,
    status: codecFlag[compressor.codec] | (excludeVmemmap ? statusUnusedVmemmap : 0),
    maxMapnr: map.maxPfn,
    nrCpus: made?.cpuCount ?? source.cpuCount,
    physBase: map.kernel?.physBase ?? made?.physBase ?? 0n,
    dumpLevel,
    notes,
    vmcoreinfoOffset: source.vmcoreinfoOffset,
    vmcoreinfoSize: source.vmcoreinfoSize,
  };
}

function readBack(cycle: Cycle, memory: Uint8Array, { sink, keptBitmapOffset }: KdumpWriter): boolean {
  const target = memory.subarray(0, cycle.byteLength);
  return sink.readBack?.(keptBitmapOffset + cycle.byteOffset, target) ?? false;
}
