import { noPhysicalAddress, type ProgramHeader, PT_LOAD, PT_NOTE } from '../../formats/elf.ts';
import { newElfHeader } from '../../formats/elf-encode.ts';
import { isMissing, type VirtualMemory } from '../../kernel/memory.ts';
import { PageBitmap } from '../../lib/bitmap.ts';
import { KdumpError } from '../../lib/errors.ts';
import { ElfSource } from '../input/elf-source.ts';
import type { DumpSource } from '../input/source.ts';

/** What a new ELF core takes over from the dump it is made of. */
export type ElfOrigin = {
  /** ELF header, 64 bytes. */
  readonly header: Uint8Array;
  /** Program header of the notes. */
  readonly note: ProgramHeader;
  /** Segments of physical memory, in the order of the file; where their data lies in it does not matter. */
  readonly loads: readonly ProgramHeader[];
};

/** Frames that are looked at at once: bitmaps of 4 MiB. */
const framesAtOnce = 2 ** 25;
/** A machine has some tens of ranges of memory; a damaged bitmap may pretend to millions. */
const mostRanges = 2 ** 16;

const readWriteExecute = 7;

/**
 * The segments of a core, or for a dump that has none (a kdump-compressed one) a segment for every range of memory that
 * it describes, at its address in the kernel's linear mapping, as in /proc/vmcore: makedumpfile learns from these where
 * that mapping is. Where the page tables do not tell, the address is 0, with which crash(8) is content.
 * @param pageSize bytes
 * @param memory of the crashed kernel, if its page tables can be read
 * @throws KdumpError `no-elf` when the dump does not tell for which machine an ELF file of it would be
 */
export function elfOriginOf(
  source: DumpSource,
  pageSize: number,
  memory: VirtualMemory | undefined,
): ElfOrigin {
  if (source instanceof ElfSource) {
    const { header, programHeaders } = source.elf;
    return {
      header,
      note: programHeaders.findLast((ph) => ph.type === PT_NOTE) ?? programHeader(PT_NOTE, 0, 0),
      loads: programHeaders.filter((ph) => ph.type === PT_LOAD && ph.paddr !== noPhysicalAddress),
    };
  }
  if (source.arch === undefined) {
    throw new KdumpError(
      'no-elf',
      `${source.path}: does not tell the architecture of the machine, which an ELF core has to name`,
      { fix: 'Make a kdump-compressed dump of it: leave out -E.' },
    );
  }
  const vaddrOf = linearMapping(source, memory);
  return {
    header: newElfHeader(source.arch.elfMachine),
    note: programHeader(PT_NOTE, 0, 0),
    loads: presentRanges(source, pageSize).map(([start, end]) => ({
      ...programHeader(PT_LOAD, start, end - start),
      flags: readWriteExecute,
      vaddr: vaddrOf(start),
    })),
  };
}

/** Gives the virtual address of a physical one in the kernel's linear mapping, or 0 where the page tables have none. */
function linearMapping(source: DumpSource, memory: VirtualMemory | undefined): (paddr: number) => bigint {
  // The kernel exports where its table of memory sections is, and takes the room for that from the linear mapping.
  const table = source.vmcoreinfo?.symbol('mem_section');
  const run = table === undefined ? undefined : memory?.translate(table);
  if (memory === undefined || table === undefined || run === undefined || isMissing(run)) return () => 0n;
  const base = table - BigInt(run.paddr);
  return (paddr) => {
    const vaddr = base + BigInt(paddr);
    const found = memory.translate(vaddr);
    return !isMissing(found) && found.paddr === paddr ? vaddr : 0n;
  };
}

function programHeader(type: number, paddr: number, memsz: number): ProgramHeader {
  return { type, flags: 0, offset: 0, vaddr: 0n, paddr: BigInt(paddr), filesz: 0, memsz, align: 0n };
}

/** Ranges of physical memory that a dump describes; bytes. */
function presentRanges(source: DumpSource, pageSize: number): [start: number, end: number][] {
  const maxPfn = source.maxPfn(pageSize);
  const ranges: [number, number][] = [];
  for (let first = 0; first < maxPfn; first += framesAtOnce) {
    const present = new PageBitmap(Math.min(framesAtOnce, maxPfn - first), undefined, first);
    source.markPresent(present, pageSize);
    for (let pfn = present.nextSet(first); pfn < present.end; ) {
      const end = present.nextClear(pfn);
      const before = ranges.at(-1);
      if (before !== undefined && before[1] === pfn * pageSize) before[1] = end * pageSize;
      else ranges.push([pfn * pageSize, end * pageSize]);
      if (ranges.length > mostRanges)
        throw new KdumpError(
          'no-elf',
          `${source.path}: more than ${mostRanges} ranges of memory in bitmap 1`,
        );
      pfn = present.nextSet(end);
    }
  }
  return ranges;
}
