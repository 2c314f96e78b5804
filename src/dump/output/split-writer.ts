import type { PfnRange } from '../../lib/bitmap.ts';
import type { PageBlock } from '../crew/page-block.ts';
import type { KdumpWriter } from './kdump-writer.ts';

/** Where blocks of pages go: one file, or a set that is split by page frames. */
export type DumpWriter = Pick<KdumpWriter, 'writeBitmaps' | 'finish' | 'giveUp'> & {
  /** As KdumpWriter.append. @param start page frame at which the block begins */
  append(block: PageBlock, start: number): void;
};

/** The files of a split set. Each has all headers and bitmaps, and the pages of its own range of frames. */
export class SplitWriter implements DumpWriter {
  readonly #writers: readonly KdumpWriter[];
  #ends: readonly number[] = [];

  constructor(writers: readonly KdumpWriter[]) {
    this.#writers = writers;
  }

  writeBitmaps(at: number, present: Uint8Array, kept: Uint8Array): void {
    for (const writer of this.#writers) writer.writeBitmaps(at, present, kept);
  }

  /** As KdumpWriter.begin, with the range of frames of each file. */
  begin(pages: number, sharesZero: boolean, parts: readonly PfnRange[]): void {
    this.#ends = parts.map((part) => part.end);
    for (const [i, writer] of this.#writers.entries()) writer.begin(pages, sharesZero, parts[i]!);
  }

  append(block: PageBlock, start: number): void {
    const part = this.#ends.findIndex((end) => start < end);
    this.#writers[part]!.append(block);
  }

  finish(eraseinfo: Uint8Array, incomplete: boolean): void {
    for (const writer of this.#writers) writer.finish(eraseinfo, incomplete);
  }

  giveUp(): void {
    for (const writer of this.#writers) writer.giveUp();
  }
}

/** Pages of the smallest piece that a set is divided by: crash(8) counts whole 64-bit words from a part's start. */
const smallestPiece = 64;

/** Counts kept pages piece by piece, and divides the frames into parts of about as many pages each. */
export class SplitPlan {
  readonly #pieces: number[];
  readonly #pagesPerPiece: number;
  readonly #maxPfn: number;

  /**
   * @param pagesPerPiece granularity in pages, a multiple of 64; when not given 1 GiB, or less where that would leave
   * parts empty
   */
  constructor(maxPfn: number, pageSize: number, parts: number, pagesPerPiece?: number) {
    this.#maxPfn = maxPfn;
    this.#pagesPerPiece = pagesPerPiece ?? defaultPiece(maxPfn, pageSize, parts);
    this.#pieces = new Array(Math.ceil(maxPfn / this.#pagesPerPiece)).fill(0);
  }

  count(kept: { nextSet(from: number): number; readonly first: number; readonly end: number }): void {
    for (let pfn = kept.nextSet(kept.first); pfn < kept.end; pfn = kept.nextSet(pfn + 1))
      this.#pieces[Math.floor(pfn / this.#pagesPerPiece)]!++;
  }

  /** Contiguous ranges that cover [0, maxPfn). */
  divide(parts: number): PfnRange[] {
    const total = this.#pieces.reduce((sum, count) => sum + count, 0);
    const ranges: PfnRange[] = [];
    let start = 0;
    let piece = 0;
    let before = 0;
    for (let part = 1; part <= parts; part++) {
      while (piece < this.#pieces.length && before < (total * part) / parts) before += this.#pieces[piece++]!;
      const end = part === parts ? this.#maxPfn : Math.min(this.#maxPfn, piece * this.#pagesPerPiece);
      ranges.push({ start, end });
      start = end;
    }
    return ranges;
  }
}

function defaultPiece(maxPfn: number, pageSize: number, parts: number): number {
  let pages = 2 ** 30 / pageSize;
  while (pages > smallestPiece && maxPfn / pages < parts * 64) pages /= 2;
  return Math.max(smallestPiece, pages);
}
