import type { DumpReport } from '../capture/report.ts';

const MIB = 2 ** 20;

/** What an estimate is made of; bytes. */
export type EstimateFacts = {
  readonly reserved: number;
  /** What crashkernel= of the table would reserve here. */
  readonly table: number;
  /** The uncompressed kernel and what it uses before it knows the memory map: init_size. */
  readonly kernel: number;
  /** The image as it is loaded, and what it takes unpacked. */
  readonly image: number;
  readonly unpacked: number;
  /** Modules, loaded; with the largest of them. */
  readonly modules: readonly { readonly path: string; readonly bytes: number }[];
  /** Opening the encrypted volumes of targets; 0 when there are none. */
  readonly unlock: number;
  /** CPUs that the capture kernel starts, and threads of the collector. */
  readonly cpus: number;
  /** What a capture of this machine has taken, with everything; null: there was none yet. */
  readonly measured: number | null;
};

export type Estimate = {
  readonly items: readonly { readonly name: string; readonly bytes: number }[];
  /** The sum of the items that are in memory together. */
  readonly needed: number;
  readonly reserved: number;
  readonly recommended: number;
  readonly measured: number | null;
  readonly largeModules: readonly { readonly path: string; readonly bytes: number }[];
  readonly warnings: readonly string[];
};

/**
 * Slab, stacks and page tables. With it the sum comes to what is known to be enough: crashkernel=160M for Debian's 6.1
 * cloud kernel (init_size 52 MiB) with an image of 33 MiB; less has worked, since not all is needed at once.
 */
const runtimeBytes = 16 * MIB;
/** Per-CPU areas, stacks and page tables of one CPU more. */
const runtimePerCpu = 2 * MIB;
/**
 * Node with the collector: its own memory, the buffers of one thread, pages of programs that are read again when dropped.
 * The report is made before it is there, and takes less.
 */
const collectorBytes = 56 * MIB;
const workerBytes = 12 * MIB;
const largeModule = 4 * MIB;
/** Sizes of crashkernel= are advised in these steps. */
const step = 16 * MIB;

/** What the capture kernel needs, item by item. Pure. */
export function estimate(facts: EstimateFacts): Estimate {
  const { reserved, table, kernel, image, unpacked, modules, unlock, cpus, measured } = facts;
  const loaded = modules.reduce((sum, { bytes }) => sum + bytes, 0);
  const collector = collectorBytes + (cpus - 1) * workerBytes;
  const runtime = runtimeBytes + (cpus - 1) * runtimePerCpu;
  // The packed image is given back before node starts, and so is what opening a volume took.
  const largest = Math.max(image, loaded + Math.max(collector, unlock));
  const needed = kernel + unpacked + runtime + largest;
  const recommended = Math.ceil(Math.max(table, needed, measured ?? 0) / step) * step;
  return {
    items: [
      { name: 'Kernel image', bytes: kernel },
      { name: 'Capture image', bytes: image },
      { name: 'Capture image, unpacked', bytes: unpacked },
      { name: 'Kernel modules', bytes: loaded },
      ...(unlock === 0 ? [] : [{ name: 'Opening of LUKS volumes', bytes: unlock }]),
      { name: 'Node and collector', bytes: collector },
      { name: 'Runtime', bytes: runtime },
    ],
    needed,
    reserved,
    recommended,
    measured,
    largeModules: modules.filter(({ bytes }) => bytes >= largeModule).toSorted((a, b) => b.bytes - a.bytes),
    warnings:
      reserved < Math.max(needed, measured ?? 0)
        ? [
            `${mebibytes(reserved)} are reserved, but a capture is likely to need ${mebibytes(Math.max(needed, measured ?? 0))}: set crashkernel=${mebibytes(recommended, 'M')}`,
          ]
        : [],
  };
}

const mebibytes = (bytes: number, unit = ' MiB'): string => `${Math.ceil(bytes / MIB)}${unit}`;

/** What a capture that is over has taken of the memory that it was given, in bytes; null when its report does not tell. */
export function measuredNeed(report: Partial<DumpReport> | null): number | null {
  const memory = report?.memory;
  if (!memory?.systemRamBytes || !(memory.lowestAvailableKiB > 0)) return null;
  return memory.systemRamBytes - memory.lowestAvailableKiB * 1024;
}
