import type { Sink } from '../../src/dump/output/sink.ts';

/** A file in memory. What was never written is 0xee in `bytes`, so that nobody takes it for zeros. */
export class MemorySink implements Sink {
  readonly path = 'memory';
  readonly rewritable = true;
  written = 0;
  closed = false;
  discarded = false;
  readonly #limit: number;
  #bytes = Buffer.alloc(0);

  /** @param limit size at which it is full */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  write(bytes: Uint8Array, offset: number): number {
    const length = Math.max(0, Math.min(bytes.length, this.#limit - offset));
    if (length === 0) return 0;
    this.#grow(offset + length);
    this.#bytes.set(bytes.subarray(0, length), offset);
    this.written += length;
    return length;
  }

  readBack(offset: number, target: Uint8Array): boolean {
    if (offset + target.length > this.#bytes.length) return false;
    target.set(this.#bytes.subarray(offset, offset + target.length));
    return true;
  }

  reserve(offset: number, length: number): void {
    const end = Math.min(this.#limit, offset + length);
    if (end <= offset) return;
    this.#grow(end);
    this.#bytes.fill(0, offset, end);
  }

  close(): void {
    this.closed = true;
  }

  discard(): void {
    this.discarded = true;
  }

  #grow(size: number): void {
    if (size <= this.#bytes.length) return;
    const larger = Buffer.alloc(size, 0xee);
    this.#bytes.copy(larger);
    this.#bytes = larger;
  }
}
