import { isMissing, type VirtualMemory } from './memory.ts';

/** Read at once: large enough that translating does not show, small against what a capture kernel has. */
const pieceBytes = 64 * 1024;

/**
 * A large array in kernel memory from which small things are read, mostly one after the other. One piece of it is held
 * at a time, so a log of 32 MiB costs 64 KiB; a page of it that cannot be read costs what lies in that page.
 */
export class MemoryWindow {
  readonly #memory: VirtualMemory;
  readonly #base: bigint;
  /** Bytes. */
  readonly size: number;
  #piece: Uint8Array | undefined;
  #start = -1;

  constructor(memory: VirtualMemory, base: bigint, size: number) {
    this.#memory = memory;
    this.#base = base;
    this.size = size;
  }

  /** Bytes [offset, offset + length) of the array, good until the next call; undefined when they cannot be read. */
  bytes(offset: number, length: number): Uint8Array | undefined {
    if (offset < 0 || length < 0 || offset + length > this.size) return undefined;
    const start = offset - (offset % pieceBytes);
    if (start !== this.#start) {
      const piece = this.#memory.read(this.#base + BigInt(start), Math.min(pieceBytes, this.size - start));
      this.#piece = isMissing(piece) ? undefined : piece;
      this.#start = start;
    }
    if (this.#piece !== undefined && offset + length <= start + this.#piece.length)
      return this.#piece.subarray(offset - start, offset - start + length);
    // It goes on in the next piece, or something else in this one is what cannot be read.
    const bytes = this.#memory.read(this.#base + BigInt(offset), length);
    return isMissing(bytes) ? undefined : bytes;
  }

  /** Offset of the first byte of the page after the one that holds `offset`. */
  nextPage(offset: number): number {
    const inPage = Number((this.#base + BigInt(offset)) & 0xfffn);
    return offset + 4096 - inPage;
  }
}
