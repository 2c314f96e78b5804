import { PageBitmap } from '../../lib/bitmap.ts';
import { excludePages } from '../filter/filter.ts';
import { noDoubts, noneExcluded, type Verdict } from '../filter/kinds.ts';
import type { PageDescriptors } from '../filter/page-map.ts';
import type { DumpSource, PageReader } from '../input/source.ts';
import type { Job } from './job-ring.ts';
import { BlockMaker, type BlockWork, type PageBlock } from './page-block.ts';

/** What one thread needs for its jobs. */
export type HandWork = BlockWork & {
  readonly source: DumpSource;
  /** undefined: nothing is judged. */
  descriptors(): PageDescriptors | undefined;
  readonly dumpLevel: number;
};

/** Does jobs, on whatever thread. */
export class Hand {
  readonly #work: HandWork;
  readonly #maker: BlockMaker;
  #reader: PageReader | undefined;
  #readerOf: PageBitmap | undefined;

  constructor(work: HandWork) {
    this.#work = work;
    this.#maker = new BlockMaker(work);
  }

  do({ kind, start, end, bitmap }: Job, block: PageBlock): void {
    if (kind === 'judge') this.#judge(start, end, bitmap, block);
    else this.#maker.fill(block, this.#readerFor(bitmap), bitmap, start, end);
  }

  /** The reader of a cycle. A new cycle needs a new one, since the old one has planned what it reads. */
  #readerFor(bitmap: PageBitmap): PageReader {
    if (this.#reader === undefined || this.#readerOf !== bitmap) {
      this.#reader = this.#work.source.pages(this.#work.pageSize, bitmap);
      this.#readerOf = bitmap;
    }
    return this.#reader;
  }

  #judge(start: number, end: number, bitmap: PageBitmap, block: PageBlock): void {
    const from = (start - bitmap.first) / 8;
    const bytes = bitmap.bytes.subarray(from, from + Math.ceil((end - start) / 8));
    const piece = new PageBitmap(end - start, bytes.length, start, bytes);
    const { dumpLevel } = this.#work;
    const descriptors = this.#work.descriptors();
    let verdict: Verdict = { excluded: noneExcluded(), doubts: noDoubts(), overflow: undefined };
    if (descriptors !== undefined) {
      // Spelled out, like the runs of `excludePages`: `...` leaves hidden classes behind.
      const { memory, sections, page, guarded } = descriptors;
      verdict = excludePages({ memory, sections, page, guarded, dumpLevel, bitmap: piece }, () => {});
    }
    // What reads the pages keeps its place in the source; the filter has moved it.
    this.#reader = undefined;
    block.setVerdict(verdict);
  }
}
