/**
 * Half-open ranges of numbers in little memory: two doubles each, added in any order, then sorted and merged. A list
 * that is full gives up its shortest ranges, so it never grows beyond its limit; what it then lacks is counted.
 */
export class RunList {
  /** Sum of the lengths of ranges that were given up. */
  dropped = 0;
  readonly #limit: number;
  #runs: Float64Array;
  #count = 0;
  /** Ranges shorter than this have no place any more. */
  #shortest = 0;

  /** @param limit most ranges that are held; at least 1 */
  constructor(limit: number) {
    this.#limit = limit;
    this.#runs = new Float64Array(2 * Math.min(limit, 64));
  }

  get count(): number {
    return this.#count;
  }

  /** Adds [start, end). */
  add(start: number, end: number): void {
    if (end <= start) return;
    const runs = this.#runs;
    const last = 2 * this.#count - 2;
    if (last >= 0 && start >= runs[last]! && start <= runs[last + 1]!) {
      runs[last + 1] = Math.max(runs[last + 1]!, end);
      return;
    }
    // The last one is whole only now.
    if (last >= 0 && runs[last + 1]! - runs[last]! < this.#shortest) {
      this.dropped += runs[last + 1]! - runs[last]!;
      this.#count--;
    }
    this.#makeRoom();
    this.#runs[2 * this.#count] = start;
    this.#runs[2 * this.#count + 1] = end;
    this.#count++;
  }

  /** Sorts the ranges and merges those that touch. */
  sort(): void {
    const runs = this.#runs;
    const order = Uint32Array.from({ length: this.#count }, (_, i) => i).sort(
      (a, b) => runs[2 * a]! - runs[2 * b]!,
    );
    const sorted = new RunList(this.#limit);
    for (const i of order) sorted.add(runs[2 * i]!, runs[2 * i + 1]!);
    this.#runs = sorted.#runs;
    this.#count = sorted.#count;
  }

  *[Symbol.iterator](): Generator<{ start: number; end: number }> {
    yield* this.from(0);
  }

  /** The ranges of a sorted list that end after `position`, in ascending order. */
  *from(position: number): Generator<{ start: number; end: number }> {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#runs[2 * middle + 1]! <= position) low = middle + 1;
      else high = middle;
    }
    for (; low < this.#count; low++) yield { start: this.#runs[2 * low]!, end: this.#runs[2 * low + 1]! };
  }

  #makeRoom(): void {
    while (this.#count >= this.#limit) {
      this.#shortest = Math.max(2, this.#shortest * 2);
      this.#giveUpShort();
    }
    if (2 * this.#count < this.#runs.length) return;
    const larger = new Float64Array(2 * Math.min(this.#limit, 2 * this.#count));
    larger.set(this.#runs);
    this.#runs = larger;
  }

  #giveUpShort(): void {
    const runs = this.#runs;
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const start = runs[2 * i]!;
      const end = runs[2 * i + 1]!;
      if (end - start < this.#shortest) {
        this.dropped += end - start;
        continue;
      }
      runs[2 * kept] = start;
      runs[2 * kept + 1] = end;
      kept++;
    }
    this.#count = kept;
  }
}
