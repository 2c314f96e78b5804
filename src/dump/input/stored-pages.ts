import { pageDescSize } from '../../formats/diskdump.ts';
import type { MissingReason } from '../../kernel/memory.ts';
import type { ByteSource } from './bytes.ts';
import type { KdumpPart } from './kdump-part.ts';
import { allocate, type Memory } from './page-decoder.ts';

/** How much is read ahead: for a walk over the whole dump, or for jumps from page to page. */
export type ReadAhead = {
  /** Descriptors. */
  readonly descriptors: number;
  /** Bytes of page data. */
  readonly data: number;
};
export const forWalk: ReadAhead = { descriptors: 4096, data: 2 ** 20 };
export const forJumps: ReadAhead = { descriptors: 64, data: 32 * 1024 };

/** Finds pages in the parts of a dump and brings what is stored of them, as it is stored. */
export class StoredPages {
  /** The page that was found last: its part and what its descriptor says. */
  part: KdumpPart;
  offset = 0;
  size = 0;
  flags = 0;
  /** Its stored bytes once fetched: memory.bytes[at, at + size). */
  memory: Memory;
  at = 0;

  readonly #parts: readonly KdumpPart[];
  readonly #blockSize: number;
  readonly #descriptors: Buffer;
  /** The part and the range of file offsets whose descriptors are at hand. */
  #described: KdumpPart | undefined;
  #describedFrom = 0;
  #describedTo = 0;
  readonly #window: DataWindow;
  /** A raw page that many pages share lies before the data around it: it has a place of its own. */
  #shared: { readonly file: ByteSource; readonly offset: number; readonly memory: Memory } | undefined;

  /** @param parts in the order of their page frames */
  constructor(parts: readonly KdumpPart[], ahead: ReadAhead) {
    this.#parts = parts;
    this.part = parts[0]!;
    this.#blockSize = this.part.header.blockSize;
    this.#descriptors = Buffer.alloc(ahead.descriptors * pageDescSize);
    this.#window = new DataWindow(Math.max(ahead.data, this.#blockSize));
    this.memory = this.#window.memory;
  }

  /**
   * Looks a page up; fills `part`, `offset`, `size` and `flags`.
   * @returns why there is no descriptor, or undefined when there is one, sensible or not
   */
  find(pfn: number): MissingReason | undefined {
    const { stored, present } = this.part;
    if (!stored.has(pfn)) return present.has(pfn) ? 'excluded' : 'hole';
    if (pfn < this.part.start || pfn >= this.part.end) {
      const other = this.#parts.find(({ start, end }) => pfn >= start && pfn < end);
      if (other === undefined) return 'truncated';
      this.part = other;
    }
    const { part } = this;
    const from = part.descriptorOffset(pfn);
    const bytes = this.#descriptors;
    if (part !== this.#described || from < this.#describedFrom || from + pageDescSize > this.#describedTo) {
      this.#described = part;
      this.#describedFrom = from;
      this.#describedTo = from + part.file.readInto(from, bytes);
      if (this.#describedTo < from + pageDescSize) return 'truncated';
    }
    const at = from - this.#describedFrom;
    this.offset = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
    this.size = bytes.readUInt32LE(at + 8);
    this.flags = bytes.readUInt32LE(at + 12);
    // A descriptor that was never written.
    return this.offset === 0 ? 'truncated' : undefined;
  }

  /**
   * Brings the stored bytes of the page that was found.
   * @returns false when its descriptor points to what is no page data, or the file does not have all of it
   */
  fetch(): boolean {
    const { offset, size, part } = this;
    const { file, header } = part;
    if (size === 0 || size > this.#blockSize || offset < header.descriptorOffset) return false;
    if (!part.holds(offset, size)) return false;
    if (this.flags === 0 && this.#window.isBefore(file, offset)) return this.#fetchShared();
    this.memory = this.#window.memory;
    this.at = this.#window.locate(file, offset, size);
    return this.at >= 0;
  }

  #fetchShared(): boolean {
    const { offset, size } = this;
    const { file } = this.part;
    const held = this.#shared;
    if (held === undefined || held.file !== file || held.offset !== offset) {
      const memory = held?.memory ?? allocate(this.#blockSize);
      this.#shared = undefined;
      if (file.readInto(offset, memory.bytes.subarray(0, size)) < size) return false;
      this.#shared = { file, offset, memory };
    }
    this.memory = this.#shared!.memory;
    this.at = 0;
    return true;
  }
}

/** The least that is read of page data at once. */
const leastRead = 16 * 1024;

/**
 * A piece of a file in memory that moves along with its reader: the further a reader goes without jumping, the more is
 * read ahead, so that pages far apart cost little and pages side by side next to nothing.
 */
class DataWindow {
  readonly memory: Memory;
  #file: ByteSource | undefined;
  #from = 0;
  #to = 0;
  #ahead = leastRead;

  constructor(length: number) {
    this.memory = allocate(length);
  }

  /** Whether a place lies before the window, so that going there would lose it. */
  isBefore(file: ByteSource, offset: number): boolean {
    return file === this.#file && offset < this.#from;
  }

  /** @returns index in memory.bytes of the byte at `offset`, all of `size` bytes being there; -1 when the file ends */
  locate(file: ByteSource, offset: number, size: number): number {
    if (file !== this.#file || offset < this.#from || offset + size > this.#to) {
      const { bytes } = this.memory;
      const goesOn = file === this.#file && offset >= this.#from && offset <= this.#to + this.#ahead;
      this.#ahead = goesOn ? Math.min(bytes.length, this.#ahead * 2) : Math.min(bytes.length, leastRead);
      const wanted = Math.max(size, this.#ahead);
      this.#file = file;
      this.#from = offset;
      this.#to = offset + file.readInto(offset, bytes.subarray(0, wanted));
      if (offset + size > this.#to) return -1;
    }
    return offset - this.#from;
  }
}
