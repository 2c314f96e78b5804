import type { PfnRange } from '../lib/bitmap.ts';
import type { Architecture } from './arch.ts';
import type { VirtualRange } from './image.ts';
import { isMissing, u64At, type VirtualMemory } from './memory.ts';
import type { KernelMemory } from './open.ts';
import type { KernelSymbols } from './types.ts';

/** Most pages of page tables that are looked for; with 4 KiB mappings they describe 128 GiB. */
const maxTablePages = 2 ** 16;
/** Most CPUs of a kernel (NR_CPUS of any configuration). */
const maxCpus = 8192;
/** Bytes of the built-in per-CPU variables; a kernel has 256 KiB of them. */
const maxPerCpuBytes = 2 ** 24;

/**
 * Page frames that no filter may take for anything but the kernel's own: its image (text, constants, data, bss), its
 * page tables, its per-CPU variables. A dump without them cannot be read, and a damaged struct page must not cost them.
 *
 * Parts of the image that the kernel gave back while it started are not among them when its symbols tell which these
 * are; otherwise everything that the image maps is.
 * @param pageSize bytes
 * @returns sorted, disjoint
 */
export function protectedRanges(arch: Architecture, kernel: KernelMemory, pageSize: number): PfnRange[] {
  return mergedRanges([
    ...imageRanges(arch, kernel, pageSize),
    ...tableRanges(kernel, pageSize),
    ...perCpuRanges(arch, kernel, pageSize),
  ]);
}

/** What the kernel image maps, without the parts that the kernel gave back. */
export function imageRanges(arch: Architecture, kernel: KernelMemory, pageSize: number): PfnRange[] {
  if (arch.image === undefined) return [];
  const { memory, knowledge } = kernel;
  const range = arch.image.range(knowledge.info.exported);
  const freed = knowledge.symbols === undefined ? [] : arch.image.freed(knowledge.symbols, memory, pageSize);
  return without(range, freed).flatMap((part) => framesOf(memory, part, pageSize));
}

/** The pages that hold the kernel's page tables. */
export function tableRanges({ memory }: KernelMemory, pageSize: number): PfnRange[] {
  return memory.tablePages(maxTablePages).map((paddr) => {
    const pfn = Math.floor(paddr / pageSize);
    return { start: pfn, end: pfn + 1 };
  });
}

/**
 * Per-CPU variables of every CPU: __per_cpu_start .. __per_cpu_end, moved by __per_cpu_offset[cpu]. What is allocated
 * behind them at run time is not told apart from what the kernel gave back.
 */
export function perCpuRanges(arch: Architecture, kernel: KernelMemory, pageSize: number): PfnRange[] {
  const { memory, knowledge } = kernel;
  const { symbols } = knowledge;
  const image = arch.image?.range(knowledge.info.exported);
  if (symbols === undefined || image === undefined) return [];
  const start = symbols.address('__per_cpu_start');
  const end = symbols.address('__per_cpu_end');
  if (start === undefined || end === undefined || end <= start || end - start > maxPerCpuBytes) return [];
  return (
    perCpuOffsets(symbols, memory)
      .map((offset) => ({
        start: BigInt.asUintN(64, start + offset),
        end: BigInt.asUintN(64, end + offset),
      }))
      // CPUs that cannot be have no area: they point at the template in the image, which is free memory by now.
      .filter((area) => area.start < area.end && (area.end <= image.start || area.start >= image.end))
      .flatMap((area) => framesOf(memory, area, pageSize))
  );
}

function perCpuOffsets(symbols: KernelSymbols, memory: VirtualMemory): bigint[] {
  const table = symbols.address('__per_cpu_offset');
  const number = symbols.address('nr_cpu_ids');
  if (table === undefined || number === undefined) return [];
  const bytes = memory.read(number, 4);
  if (isMissing(bytes)) return [];
  const count = Math.min(maxCpus, Buffer.from(bytes).readUInt32LE(0));
  const offsets = memory.read(table, count * 8);
  if (isMissing(offsets)) return [];
  return [...new Set(Array.from({ length: count }, (_, cpu) => u64At(offsets, cpu * 8)))];
}

function framesOf(memory: VirtualMemory, range: VirtualRange, pageSize: number): PfnRange[] {
  return Array.from(memory.mappedRuns(range.start, range.end), ({ paddr, length }) => ({
    start: Math.floor(paddr / pageSize),
    end: Math.ceil((paddr + length) / pageSize),
  }));
}

/** What is left of a range. */
function without(range: VirtualRange, holes: readonly VirtualRange[]): VirtualRange[] {
  const left: VirtualRange[] = [];
  let from = range.start;
  for (const hole of [...holes].sort((a, b) => (a.start < b.start ? -1 : 1))) {
    if (hole.start >= range.end) break;
    if (hole.start > from) left.push({ start: from, end: hole.start });
    if (hole.end > from) from = hole.end;
  }
  if (from < range.end) left.push({ start: from, end: range.end });
  return left;
}

function mergedRanges(ranges: readonly PfnRange[]): PfnRange[] {
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}
