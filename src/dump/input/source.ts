import type { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import type { Architecture, LinearSegment } from '../../kernel/arch.ts';
import type { MissingReason, PhysicalMemory } from '../../kernel/memory.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';

/** A dump to read from, in whatever format it is stored. */
export type DumpSource = PhysicalMemory & {
  /** Files it consists of, for messages. */
  readonly path: string;
  /** The row of the dumped machine; undefined when the file does not tell (a kdump file without a utsname). */
  readonly arch: Architecture | undefined;
  /** The whole PT_NOTE segment, which goes into a new dump as it is. */
  readonly notes: Uint8Array;
  readonly vmcoreinfo: Vmcoreinfo | undefined;
  /** Place of the VMCOREINFO text within `notes`; bytes. */
  readonly vmcoreinfoOffset: number;
  readonly vmcoreinfoSize: number;
  /** CPUs with a register note. */
  readonly cpuCount: number;
  /** Virtual addresses of segments, for kernels that do not export phys_base; none in a kdump file. */
  readonly segments: readonly LinearSegment[];
  /** What was decided when the input was made; undefined when it is a raw core. */
  readonly made: MadeDump | undefined;

  /** Number of page frames that the file describes: the highest one plus one. */
  maxPfn(pageSize: number): number;
  /** Sets in `bitmap` the frames of its range that the file describes (bitmap 1). */
  markPresent(bitmap: PageBitmap, pageSize: number): void;
  /** Clears in `bitmap` the frames of its range whose content the file does not hold. */
  clearMissing(bitmap: PageBitmap, pageSize: number): void;
  /** Reads the pages of `wanted`, in ascending order. Several readers may be open, each in turn. */
  pages(pageSize: number, wanted: PageBitmap): PageReader;
  close(): void;
};

/** What the header of a dump that a collector made says of it. */
export type MadeDump = {
  readonly dumpLevel: number;
  readonly blockSize: number;
  readonly physBase: bigint;
  /** Seconds since the epoch. */
  readonly crashTime: number;
  /** Status bits of the header. */
  readonly status: number;
  /** struct new_utsname, 390 bytes. */
  readonly utsname: Uint8Array;
  readonly cpuCount: number;
  /** Text of the erase filters that were applied; empty when none were. */
  readonly eraseinfo: Uint8Array;
};

/** One page after the other; what `load` gives is good until the next `load`. */
export type PageReader = {
  /** The page is bytes[at, at + pageSize), at memory address `address + at`. The reader keeps the memory reachable. */
  readonly bytes: Buffer;
  readonly address: number;
  readonly at: number;
  /** Goes to a page. @returns why it cannot be had, or undefined when it is there */
  load(pfn: number): MissingReason | undefined;
};
