/** Runs that are kept; page data that is not contiguous beyond that is not compared. */
const maxRuns = 2 ** 20;

/**
 * The pieces of a file that hold page data, to find those that overlap. Writers put page after page, so pages make up
 * a few long runs, whatever their number.
 */
export class DataRuns {
  #starts = new Float64Array(64);
  #ends = new Float64Array(64);
  #pfns = new Float64Array(64);
  #count = 0;
  /** Pages that found no room. */
  unchecked = 0;

  /** Takes the data of a page: [offset, offset + size) of the file. */
  add(pfn: number, offset: number, size: number): void {
    const last = this.#count - 1;
    if (last >= 0 && this.#ends[last] === offset) {
      this.#ends[last] = offset + size;
      return;
    }
    if (this.#count === maxRuns) {
      this.unchecked++;
      return;
    }
    if (this.#count === this.#starts.length) this.#grow();
    this.#starts[this.#count] = offset;
    this.#ends[this.#count] = offset + size;
    this.#pfns[this.#count++] = pfn;
  }

  /**
   * Runs that begin within another.
   * @returns for each the offset where both have data, and the first page frames of both runs
   */
  *overlaps(): Generator<{ offset: number; pfn: number; other: number }> {
    const order = new Uint32Array(this.#count).map((_, i) => i);
    order.sort((a, b) => this.#starts[a]! - this.#starts[b]!);
    let furthest = -1;
    for (const run of order) {
      if (furthest >= 0 && this.#starts[run]! < this.#ends[furthest]!)
        yield { offset: this.#starts[run]!, pfn: this.#pfns[run]!, other: this.#pfns[furthest]! };
      if (furthest < 0 || this.#ends[run]! > this.#ends[furthest]!) furthest = run;
    }
  }

  /** Where the last run ends; 0 without any. */
  get end(): number {
    let end = 0;
    for (let i = 0; i < this.#count; i++) end = Math.max(end, this.#ends[i]!);
    return end;
  }

  #grow(): void {
    const wider = (old: Float64Array) => {
      const column = new Float64Array(old.length * 2);
      column.set(old);
      return column;
    };
    this.#starts = wider(this.#starts);
    this.#ends = wider(this.#ends);
    this.#pfns = wider(this.#pfns);
  }
}
