import { type ProgramHeader, PT_LOAD, PT_NOTE } from '../../formats/elf.ts';
import {
  elfHeaderSize,
  elfHeadersSize,
  encodeElfHeader,
  encodeProgramHeader,
  newElfHeader,
  programHeaderSize,
} from '../../formats/elf-encode.ts';
import { KdumpError } from '../../lib/errors.ts';
import { alignUp, intersect, type Range, subtract } from '../../lib/ranges.ts';
import type { LayoutFacts } from '../layout/layout-facts.ts';

export type ElfcorehdrOptions = {
  /** What is not to be seen, beside the crash regions and the GART. */
  readonly exclude: readonly Range[];
  /** Memory that is saved before the next kernel uses it: its contents will be found at `destination`. */
  readonly backup: { readonly source: Range; readonly destination: number } | null;
  /** The kernel that is left comes back: it is no crash, and there is no VMCOREINFO to read. */
  readonly preserveContext: boolean;
};

const EM_X86_64 = 62;
/** Read, write, execute. */
const RWX = 7;
const PAGE = 4096;
/** The header is filled up to a multiple of this, and has at least this much room, both as with kexec-tools. */
const UNIT = 1024;
const LEAST_ROOM = 16 * 1024;
/** e_phnum has 16 bits, and the kernel knows of no extension in this header. */
const MOST_PROGRAM_HEADERS = 0xfffe;

/**
 * The ELF core header, by which the capture kernel finds the memory and the CPUs' registers of the kernel that crashed
 * and makes /proc/vmcore: ELF64, little-endian, program headers only. Offsets are physical addresses. In this order:
 * a PT_NOTE for each CPU, one for VMCOREINFO, a PT_LOAD of the kernel's text, one for each range of RAM
 * (parse_crash_elf64_headers() of fs/proc/vmcore.c reads it).
 * @returns the header, zeros behind it up to a multiple of 1 KiB
 * @throws KdumpError `elfcorehdr` for more than fits into one
 */
export function buildElfcorehdr(layout: LayoutFacts, options: ElfcorehdrOptions): Uint8Array {
  const { cpuNotes, vmcoreinfo, kernelText, pageOffset } = layout;
  const headers = [
    ...cpuNotes.map(note),
    ...(vmcoreinfo === null || options.preserveContext ? [] : [note(vmcoreinfo)]),
    ...(kernelText === null ? [] : [textLoad(kernelText)]),
    ...ramLoads(layout, options, pageOffset),
  ];
  if (headers.length > MOST_PROGRAM_HEADERS)
    throw new KdumpError(
      'elfcorehdr',
      `the ELF core header would need ${headers.length} program headers, ${MOST_PROGRAM_HEADERS} fit into one`,
      { facts: { cpus: cpuNotes.length, ramRanges: layout.ram.length } },
    );
  const bytes = new Uint8Array(alignUp(elfHeadersSize(headers.length), UNIT));
  bytes.set(encodeElfHeader(newElfHeader(EM_X86_64), headers.length, 0).header);
  for (const [i, header] of headers.entries())
    encodeProgramHeader(bytes, elfHeaderSize + i * programHeaderSize, header);
  return bytes;
}

/**
 * Bytes of memory that the header is given, in whole pages: enough for whatever buildElfcorehdr answers with one more
 * excluded range and a backup.
 * @param hotplug as much as the running kernel wants for CPUs and memory to come, since it will rewrite the header
 * @throws KdumpError `no-hotplug` when this kernel does not do that
 */
export function elfcorehdrRoom(layout: LayoutFacts, hotplug: boolean): number {
  if (hotplug && layout.elfcorehdrSize === null)
    throw new KdumpError('no-hotplug', 'option --hotplug: this kernel does not update an ELF core header', {
      fix: 'Leave the option out, and load the crash kernel again when CPUs or memory have come or gone.',
    });
  const { cpuNotes, ram, crashRegions, gart, elfcorehdrSize } = layout;
  // A hole makes two ranges out of one; the backup's edges make two more at most.
  const loads = 1 + ram.length + crashRegions.length + gart.length + 1 + 2;
  const size = alignUp(elfHeadersSize(cpuNotes.length + 1 + loads), UNIT);
  return alignUp(Math.max(size, LEAST_ROOM, hotplug ? elfcorehdrSize! : 0), PAGE);
}

function note({ paddr, size }: { paddr: number; size: number }): ProgramHeader {
  return {
    type: PT_NOTE,
    flags: 0,
    offset: paddr,
    vaddr: 0n,
    paddr: BigInt(paddr),
    filesz: size,
    memsz: size,
    align: 0n,
  };
}

function textLoad({ vaddr, paddr, size }: NonNullable<LayoutFacts['kernelText']>): ProgramHeader {
  return load({ start: paddr, end: paddr + size }, paddr, vaddr);
}

function ramLoads(layout: LayoutFacts, options: ElfcorehdrOptions, pageOffset: bigint): ProgramHeader[] {
  const { exclude, backup } = options;
  const seen = subtract(layout.ram, [...layout.crashRegions, ...layout.gart, ...exclude]);
  const saved = backup === null ? [] : intersect(seen, [backup.source]);
  const moved = backup === null ? 0 : backup.destination - backup.source.start;
  const loads = [
    ...saved.map((range) => ({ range, offset: range.start + moved })),
    ...subtract(seen, saved).map((range) => ({ range, offset: range.start })),
  ].sort((a, b) => a.range.start - b.range.start);
  return loads.map(({ range, offset }) => load(range, offset, pageOffset + BigInt(range.start)));
}

function load({ start, end }: Range, offset: number, vaddr: bigint): ProgramHeader {
  return {
    type: PT_LOAD,
    flags: RWX,
    offset,
    vaddr,
    paddr: BigInt(start),
    filesz: end - start,
    memsz: end - start,
    align: 0n,
  };
}
