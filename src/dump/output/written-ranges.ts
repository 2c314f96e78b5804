/**
 * Ranges of a file that were written, to notice when one is written twice. Neighbours are merged: a dump is written in
 * a few regions, each in ascending order, so a few ranges are all there ever are.
 */
export class WrittenRanges {
  /** Sorted, disjoint, not touching. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** The range that grew last. */
  #last = 0;

  get count(): number {
    return this.#starts.length;
  }

  /** Adds [start, end), which is not empty. @returns false, and adds nothing, when some of it was there */
  add(start: number, end: number): boolean {
    const starts = this.#starts;
    const ends = this.#ends;
    // The first range that ends at or after `start`.
    const at = ends[this.#last] === start ? this.#last : this.#find(start);
    const grows = ends[at] === start;
    const next = grows ? at + 1 : at;
    if (next < starts.length && starts[next]! < end) return false;
    const joins = starts[next] === end;
    if (grows && joins) {
      ends[at] = ends[next]!;
      starts.splice(next, 1);
      ends.splice(next, 1);
    } else if (grows) ends[at] = end;
    else if (joins) starts[at] = start;
    else {
      starts.splice(at, 0, start);
      ends.splice(at, 0, end);
    }
    this.#last = at;
    return true;
  }

  #find(start: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ends[middle]! < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
