import { join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { normalize, type Range, subtract, union } from '../../lib/ranges.ts';
import { type IomemRange, numberedEntries, readCommandLine, readHex, readText } from '../../system/proc.ts';
import { splitWords } from '../command-line.ts';
import { e820Types, type MemoryRange, type MemoryType } from './layout-facts.ts';

/**
 * The kernel's words for kinds of memory, in /sys/firmware/memmap and in /proc/iomem (e820_type_to_string() of
 * arch/x86/kernel/e820.c).
 */
const typeNames: ReadonlyMap<string, MemoryType> = new Map([
  ['System RAM', 'ram'],
  ['ACPI Tables', 'acpi'],
  ['ACPI Non-volatile Storage', 'nvs'],
  ['Unusable memory', 'unusable'],
  ['Persistent Memory', 'pmem'],
  ['Persistent Memory (legacy)', 'pram'],
  ['Reserved', 'reserved'],
  // [before 4.12]
  ['reserved', 'reserved'],
  ['Unknown E820 type', 'reserved'],
  // Set aside by EFI for a purpose that the next kernel will not know of.
  ['Soft Reserved', 'reserved'],
  ['Uncached RAM', 'reserved'],
]);

export type NamedRange = Range & { readonly name: string };
export type MemoryMap = { readonly memoryMap: MemoryRange[]; readonly warnings: string[] };

/** All ranges of /proc/iomem at any depth, half-open. */
export function flat(iomem: readonly IomemRange[]): NamedRange[] {
  return iomem.flatMap(({ start, end, name, children }) => [
    { start, end: end + 1, name },
    ...flat(children),
  ]);
}

/**
 * What the firmware said of memory: /sys/firmware/memmap, which the running kernel's own use does not change. It lacks
 * what add_efi_memmap took from EFI; then, and where there is none, it is what /proc/iomem has by the firmware's names.
 * @param iomem all of /proc/iomem, none of it when it hides its addresses
 * @throws KdumpError `bad-firmware-map` for an entry without a range
 */
export function readMemoryMap(root: string, iomem: readonly NamedRange[]): MemoryMap {
  const addEfiMemmap = splitWords(readCommandLine(root) ?? '').includes('add_efi_memmap');
  const firmware = addEfiMemmap ? [] : firmwareMap(root);
  return typed(firmware.length > 0 ? firmware : iomem.filter(({ name }) => typeNames.has(name)));
}

const mapDirectory = 'sys/firmware/memmap';

function firmwareMap(root: string): NamedRange[] {
  return numberedEntries(root, mapDirectory).map((entry) => {
    const directory = `${mapDirectory}/${entry}`;
    const [start, end] = ['start', 'end'].map((file) =>
      Number(readHex(root, `${directory}/${file}`) ?? Number.NaN),
    );
    const name = readText(root, `${directory}/type`)?.trim();
    if (name === undefined || !Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start! > end!)
      throw new KdumpError(
        'bad-firmware-map',
        `${join(root, directory)}: start, end and type are no range of memory`,
      );
    return { start: start!, end: end! + 1, name };
  });
}

/** Kinds of memory, those first that win where ranges overlap: the higher number, as in the kernel's e820__update_table(). */
const strongestFirst = (Object.keys(e820Types) as MemoryType[]).sort((a, b) => e820Types[b] - e820Types[a]);

function typed(named: readonly NamedRange[]): MemoryMap {
  const unknown = new Set(named.map(({ name }) => name).filter((name) => !typeNames.has(name)));
  const ranges: MemoryRange[] = [];
  let taken: Range[] = [];
  for (const type of strongestFirst) {
    const own = normalize(named.filter(({ name }) => (typeNames.get(name) ?? 'reserved') === type));
    ranges.push(...subtract(own, taken).map((range) => ({ ...range, type })));
    taken = union(taken, own);
  }
  return {
    memoryMap: ranges.sort((a, b) => a.start - b.start),
    warnings: [...unknown].map((name) => `memory of the unknown kind "${name}" is taken for reserved memory`),
  };
}
