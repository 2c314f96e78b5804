import { intersect, type Range, subtract } from '../../lib/ranges.ts';
import type { MemoryRange } from '../layout/layout-facts.ts';

const KIB = 1024;
/** RAM smaller than this is not worth its place on the command line. */
const LEAST_MEMMAP = 100 * KIB;

const byStart = (a: Range, b: Range) => a.start - b.start;
const asRam = ({ start, end }: Range): MemoryRange => ({ start, end, type: 'ram' });
const isRam = ({ type }: MemoryRange): boolean => type === 'ram';

/** The same map of which only some of the RAM may be used; what is not RAM is described as it was. */
export function withRam(memoryMap: readonly MemoryRange[], usable: readonly Range[]): MemoryRange[] {
  return [...usable.map(asRam), ...memoryMap.filter((range) => !isRam(range))].sort(byStart);
}

/**
 * What a crash kernel is told: the memory that is reserved for it, less what it must not overwrite, and the low memory
 * whose contents are saved before it starts. ACPI's tables and the rest keep their places, or its drivers would map
 * them as devices or not find them.
 */
export function crashMap(
  memoryMap: readonly MemoryRange[],
  reserved: readonly Range[],
  keep: readonly Range[],
  saved: Range | null,
): MemoryRange[] {
  return withRam(memoryMap, [...(saved === null ? [] : [saved]), ...subtract(reserved, keep)]);
}

/** What a kernel is told that gives its memory back: RAM only where its contents are exchanged. */
export function preservingMap(memoryMap: readonly MemoryRange[], exchanged: readonly Range[]): MemoryRange[] {
  return withRam(memoryMap, intersect(memoryMap.filter(isRam), exchanged));
}

/** Letters of memmap= by kind of memory (Documentation/admin-guide/kernel-parameters.txt); the rest is left out. */
const memmapMarks: Partial<Record<MemoryRange['type'], string>> = {
  ram: '@',
  acpi: '#',
  nvs: '#',
  pram: '!',
};

/** The same map as words for the command line, in KiB: RAM in whole ones, tables with all of their bytes. */
export function memmapWords(map: readonly MemoryRange[]): string {
  const words = map.flatMap(({ start, end, type }) => {
    const mark = memmapMarks[type];
    if (mark === undefined || (type === 'ram' && end - start < LEAST_MEMMAP)) return [];
    const from = type === 'ram' ? Math.ceil(start / KIB) : Math.floor(start / KIB);
    const to = type === 'ram' ? Math.floor(end / KIB) : Math.ceil(end / KIB);
    return [`memmap=${to - from}K${mark}${from}K`];
  });
  return ['memmap=exactmap', ...words].join(' ');
}
