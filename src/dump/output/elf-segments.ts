import type { PageBitmap } from '../../lib/bitmap.ts';

/**
 * Fewer excluded pages than this in a row do not end a segment: they are in the dump as they are. makedumpfile's number
 * (PFN_EXCLUDED), so that its cores and ours are the same; a program header costs less, but readers search them.
 */
export const shortestGap = 256;

/** A piece of a segment: physical addresses and sizes in bytes. */
export type SegmentPiece = {
  /** Where it begins. */
  readonly paddr: number;
  /** Bytes from there on that the dump holds. */
  readonly filesz: number;
  /** Bytes that it describes; what is not in the dump was excluded. */
  readonly memsz: number;
};

/** What becomes of a segment, told in ascending order of addresses. */
export type SegmentTaker = {
  /** Bytes [from, to) are in the dump; they follow what was told before, in the file as in the piece. */
  data(from: number, to: number): void;
  /** A piece is complete. `last` ends the segment. */
  piece(piece: SegmentPiece, last: boolean): void;
};

/**
 * Divides one segment of a core into pieces, by which pages are kept. Bitmaps come cycle by cycle; what they do not
 * cover is excluded.
 */
export class SegmentSplitter {
  /** Physical addresses, bytes. */
  readonly start: number;
  readonly end: number;
  readonly #pageSize: number;
  readonly #taker: SegmentTaker;
  /** Where the current piece begins, and where its data ends. */
  #pieceStart: number;
  #dataEnd: number;
  #finished = false;

  constructor(start: number, end: number, pageSize: number, taker: SegmentTaker) {
    this.start = start;
    this.end = end;
    this.#pageSize = pageSize;
    this.#taker = taker;
    this.#pieceStart = start;
    this.#dataEnd = start;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /**
   * The piece as far as it is known: the data that was told, and all memory to the end of the segment. When the taker
   * has thrown, this is the piece that it had not taken whole.
   */
  get rest(): SegmentPiece {
    return {
      paddr: this.#pieceStart,
      filesz: this.#dataEnd - this.#pieceStart,
      memsz: this.end - this.#pieceStart,
    };
  }

  /** Takes the next bitmap; its range lies above those of all before it. */
  feed(kept: PageBitmap): void {
    if (this.#finished) return;
    const size = this.#pageSize;
    const first = Math.max(kept.first, Math.floor(this.start / size));
    const last = Math.min(kept.end, Math.ceil(this.end / size));
    // The rest of a page that a segment begins within is always kept: what the page is was decided for all of it.
    const head = this.start % size === 0 ? -1 : Math.floor(this.start / size);
    let pfn = first;
    if (head >= first && head < last) {
      this.#keep(this.start, Math.min(this.end, (head + 1) * size));
      pfn = head + 1;
    }
    for (pfn = kept.nextSet(pfn); pfn < last; ) {
      const until = Math.min(last, kept.nextClear(pfn));
      this.#keep(pfn * size, Math.min(this.end, until * size));
      pfn = kept.nextSet(until);
    }
    if (kept.end * size >= this.end) this.finish();
  }

  /** Ends the segment; for the last of the bitmaps, when it does not reach that far. */
  finish(): void {
    if (this.#finished) return;
    this.#taker.piece(this.rest, true);
    this.#finished = true;
  }

  #keep(from: number, to: number): void {
    const gap = from - this.#dataEnd;
    if (gap >= shortestGap * this.#pageSize) {
      const { paddr, filesz } = this.rest;
      this.#taker.piece({ paddr, filesz, memsz: from - paddr }, false);
      this.#pieceStart = from;
    } else if (gap > 0) {
      this.#dataEnd = from;
      this.#taker.data(from - gap, from);
    }
    this.#dataEnd = to;
    this.#taker.data(from, to);
  }
}
