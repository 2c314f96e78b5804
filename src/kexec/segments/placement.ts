import { KdumpError } from '../../lib/errors.ts';
import { alignDown, alignUp, normalize, type Range, subtract } from '../../lib/ranges.ts';
import { exitCodes } from '../uapi.ts';

export const PAGE = 4096;

/** What a piece asks of its place. */
export type Wish = {
  /** Power of two, a page at least; a page when absent. */
  readonly alignment?: number;
  /** Lowest physical address it may lie at; 0 when absent. */
  readonly lowest?: number;
};

/** Hands out physical memory from the top down, as kexec-tools does: the next kernel unpacks itself at the bottom. */
export class Placement {
  /** Memory that may be used, in whole pages. */
  readonly allowed: readonly Range[];
  #free: Range[];

  constructor(allowed: readonly Range[]) {
    this.allowed = normalize(allowed)
      .map(({ start, end }) => ({ start: alignUp(start, PAGE), end: alignDown(end, PAGE) }))
      .filter(({ start, end }) => start < end);
    this.#free = [...this.allowed];
  }

  /** What nothing was placed in yet, ascending. */
  get free(): readonly Range[] {
    return this.#free;
  }

  /**
   * The highest place that a piece of so many bytes, in whole pages, fits into.
   * @param name as an error names it, e.g. "the kernel"
   * @throws KdumpError `no-room`
   */
  place(name: string, bytes: number, { alignment = PAGE, lowest = 0 }: Wish = {}): Range {
    const size = alignUp(bytes, PAGE);
    for (const hole of this.#free.toReversed()) {
      if (hole.end - hole.start < size) continue;
      const start = alignDown(hole.end - size, alignment);
      if (start >= hole.start && start >= lowest) return this.#take({ start, end: start + size });
    }
    throw this.#noRoom(name, size, alignment, lowest);
  }

  /** Takes exactly this range, in whole pages; null when something is in the way or it is no memory. */
  placeAt(start: number, bytes: number): Range | null {
    const end = start + alignUp(bytes, PAGE);
    const inside = this.#free.some((hole) => hole.start <= start && end <= hole.end);
    return inside ? this.#take({ start, end }) : null;
  }

  #take(range: Range): Range {
    this.#free = subtract(this.#free, [range]);
    return range;
  }

  #noRoom(name: string, size: number, alignment: number, lowest: number): KdumpError {
    const largest = Math.max(0, ...this.#free.map((hole) => hole.end - Math.max(hole.start, lowest)));
    const conditions = [
      ...(alignment > PAGE ? [`aligned to ${hex(alignment)}`] : []),
      ...(lowest > 0 ? [`not below ${hex(lowest)}`] : []),
    ];
    return new KdumpError(
      'no-room',
      `no room for ${name}: ${size} bytes are needed${conditions.map((text) => `, ${text}`).join('')}; the largest hole there has ${largest}`,
      {
        fix: 'Raise crashkernel= for a crash kernel, widen --mem-min and --mem-max, or make the initrd smaller.',
        facts: { piece: name, size, alignment, lowest: hex(lowest), largest },
        exitCode: exitCodes.failed,
      },
    );
  }
}

export const hex = (address: number): string => `0x${address.toString(16)}`;
