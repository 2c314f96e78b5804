/** A piece of physical memory that is overwritten in the dump. */
export type ErasePiece = {
  /** Physical address and length; bytes. */
  readonly paddr: number;
  readonly length: number;
  /** What every byte of it becomes: eraseFill, or nullFill for pointers that are nullified. */
  readonly fill: number;
};

/** 'X', as makedumpfile.conf(5) promises. */
export const eraseFill = 0x58;
export const nullFill = 0;

/**
 * Overwrites pieces of pages on their way into the dump. Pages that nothing is erased from, which are nearly all, cost
 * two comparisons when they come in ascending order, as they do.
 */
export class EraseFilter {
  readonly #pageSize: number;
  /** Disjoint pieces in ascending order; bytes. */
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #fills: Uint8Array;
  /** First piece that ends behind the page that was asked for last. */
  #next = 0;

  /**
   * @param pieces in any order; where they overlap, the one that starts later counts
   * @param pageSize bytes
   */
  constructor(pieces: readonly ErasePiece[], pageSize: number) {
    const disjoint = disjointPieces(pieces);
    this.#pageSize = pageSize;
    this.#starts = Float64Array.from(disjoint, (piece) => piece.paddr);
    this.#ends = Float64Array.from(disjoint, (piece) => piece.paddr + piece.length);
    this.#fills = Uint8Array.from(disjoint, (piece) => piece.fill);
  }

  /** Whether anything of a page is to be erased. */
  touches(pfn: number): boolean {
    const start = pfn * this.#pageSize;
    const first = this.#seek(start);
    return first < this.#starts.length && this.#starts[first]! < start + this.#pageSize;
  }

  /** Erases what is to be erased of a page; it lies at `at` of `page`, which is a copy. */
  apply(pfn: number, page: Uint8Array, at: number): void {
    const start = pfn * this.#pageSize;
    const end = start + this.#pageSize;
    for (let i = this.#seek(start); i < this.#starts.length && this.#starts[i]! < end; i++) {
      const from = Math.max(start, this.#starts[i]!);
      const to = Math.min(end, this.#ends[i]!);
      page.fill(this.#fills[i]!, at + (from - start), at + (to - start));
    }
  }

  /** Index of the first piece that ends behind `paddr`. */
  #seek(paddr: number): number {
    const ends = this.#ends;
    const next = this.#next;
    const isBefore = next > 0 && ends[next - 1]! > paddr;
    if (!isBefore && (next >= ends.length || ends[next]! > paddr)) return next;
    let low = isBefore ? 0 : next;
    let high = isBefore ? next : ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle]! <= paddr) low = middle + 1;
      else high = middle;
    }
    this.#next = low;
    return low;
  }
}

/** The same bytes as pieces that neither overlap nor touch with the same fill, in ascending order. */
export function disjointPieces(pieces: readonly ErasePiece[]): ErasePiece[] {
  const sorted = pieces.filter((piece) => piece.length > 0).sort((a, b) => a.paddr - b.paddr);
  const done: ErasePiece[] = [];
  for (const piece of sorted) {
    const end = piece.paddr + piece.length;
    const behind: ErasePiece[] = [];
    for (let last = done.at(-1); last && last.paddr + last.length > piece.paddr; last = done.at(-1)) {
      done.pop();
      const lastEnd = last.paddr + last.length;
      if (lastEnd > end) {
        const paddr = Math.max(end, last.paddr);
        behind.push({ paddr, length: lastEnd - paddr, fill: last.fill });
      }
      if (last.paddr < piece.paddr) {
        done.push({ paddr: last.paddr, length: piece.paddr - last.paddr, fill: last.fill });
        break;
      }
    }
    done.push(piece, ...behind.reverse());
  }
  const joined: ErasePiece[] = [];
  for (const piece of done) {
    const last = joined.at(-1);
    if (last?.fill === piece.fill && last.paddr + last.length === piece.paddr)
      joined[joined.length - 1] = { ...last, length: last.length + piece.length };
    else joined.push(piece);
  }
  return joined;
}
