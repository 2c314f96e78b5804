const blockBytes = 4096;
const places = 64;

/**
 * Blocks of a file that were read last, for readers that want a few bytes here and there: a walk along a list would ask
 * the kernel for eight at a time. A block has one place only, so that looking for it costs nothing.
 */
export class FileBlocks {
  readonly #read: (offset: number, target: Uint8Array) => number;
  readonly #bytes = Buffer.alloc(places * blockBytes);
  /** Number of the block in each place. */
  readonly #held = new Float64Array(places).fill(-1);

  /** @param read fills `target` from a file offset on, and tells how many bytes it got */
  constructor(read: (offset: number, target: Uint8Array) => number) {
    this.#read = read;
  }

  /** Fills `target`; false when it is not all in one block that can be read whole, and nothing was done. */
  readInto(offset: number, target: Uint8Array): boolean {
    const inside = offset % blockBytes;
    if (inside + target.length > blockBytes) return false;
    const block = (offset - inside) / blockBytes;
    const place = block % places;
    const at = place * blockBytes;
    if (this.#held[place] !== block) {
      this.#held[place] = -1;
      const bytes = this.#bytes.subarray(at, at + blockBytes);
      if (this.#read(offset - inside, bytes) < blockBytes) return false;
      this.#held[place] = block;
    }
    const from = at + inside;
    // A word is copied faster than a view of it is made.
    if (target.length <= 16) for (let i = 0; i < target.length; i++) target[i] = this.#bytes[from + i]!;
    else target.set(this.#bytes.subarray(from, from + target.length));
    return true;
  }
}
