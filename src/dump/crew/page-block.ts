import { codecFlag } from '../../formats/diskdump.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';
import { addressOf } from '../../system/ffi.ts';
import { type Excluded, noDoubts, noneExcluded, type Verdict } from '../filter/kinds.ts';
import { type ZeroTest, zeroTest } from '../filter/zero-pages.ts';
import type { PageReader } from '../input/source.ts';
import type { PageCompressor } from './page-compressor.ts';

/** Bytes of memory that one block describes: large enough that a write does not show, small in a capture kernel. */
const blockBytes = 512 * 1024;

export const pagesInBlock = (pageSize: number): number => Math.max(1, blockBytes / pageSize);

/** Marks in `flags` beside those of page_desc: nothing of these pages lies in the block's data. */
export const zeroPage = 0x8000_0000;
export const unreadablePage = 0x4000_0000;

/**
 * A run of pages ready to be written, in ascending order: what is stored of each, back to back. It lies in memory that
 * threads may share; whose turn it is to touch it is agreed upon elsewhere.
 */
export class PageBlock {
  /** Bytes stored of each page, and page_desc.flags or one of the marks. */
  readonly sizes: Uint32Array;
  readonly flags: Uint32Array;
  readonly data: Buffer;
  /** Address of data[0]; good as long as this object lives. */
  readonly address: number;
  readonly #numbers: Uint32Array;

  /** @param slack bytes that a compressor may touch beyond the page it stores */
  constructor(memory: ArrayBufferLike, offset: number, pageSize: number, slack: number) {
    const pages = pagesInBlock(pageSize);
    this.#numbers = new Uint32Array(memory, offset, 2);
    this.sizes = new Uint32Array(memory, offset + headBytes, pages);
    this.flags = new Uint32Array(memory, offset + headBytes + pages * 4, pages);
    this.data = Buffer.from(memory, offset + headBytes + pages * 8, pages * pageSize + slack);
    this.address = addressOf(this.data);
  }

  /** Bytes that a block takes; a multiple of 8. */
  static bytesFor(pageSize: number, slack: number): number {
    return Math.ceil((headBytes + pagesInBlock(pageSize) * (8 + pageSize) + slack) / 8) * 8;
  }

  /** Number of pages. */
  get count(): number {
    return this.#numbers[0]!;
  }

  /** Bytes of `data` that are stored. */
  get used(): number {
    return this.#numbers[1]!;
  }

  set(count: number, used: number): void {
    this.#numbers[0] = count;
    this.#numbers[1] = used;
  }

  /** In the place of pages: what the filter found. */
  setVerdict({ excluded, doubts, overflow }: Verdict): void {
    const reason = overflow === undefined ? -1 : excludedKeys.indexOf(overflow.reason);
    const numbers = [...Object.values(excluded), ...Object.values(doubts), reason, overflow?.end ?? 0];
    for (const [i, number] of numbers.entries()) this.data.writeDoubleLE(number, i * 8);
  }

  get verdict(): Verdict {
    let at = 0;
    const next = (): number => this.data.readDoubleLE(8 * at++);
    const excluded = noneExcluded();
    const doubts = noDoubts();
    for (const key of excludedKeys) excluded[key] = next();
    for (const key of Object.keys(doubts) as (keyof typeof doubts)[]) doubts[key] = next();
    const reason = excludedKeys[next()];
    const end = next();
    return { excluded, doubts, overflow: reason === undefined ? undefined : { end, reason } };
  }
}

const excludedKeys = Object.keys(noneExcluded()) as (keyof Excluded)[];

const headBytes = 16;

/** Overwrites what must not be in the dump. */
export type PageEditor = {
  /** Whether anything of a page is to be overwritten. */
  touches(pfn: number): boolean;
  /** Overwrites it in a copy of the page, which is page[at, at + page size). */
  apply(pfn: number, page: Uint8Array, at: number): void;
};

export type BlockWork = {
  /** Bytes. */
  readonly pageSize: number;
  readonly compressor: PageCompressor;
  /** All-zero pages are marked instead of stored. */
  readonly shareZero: boolean;
  readonly editor: PageEditor | undefined;
};

/** Makes blocks, each from where its pages were read or are mapped; one for each thread. */
export class BlockMaker {
  readonly #work: BlockWork;
  readonly #isZero: ZeroTest;
  readonly #scratch: { readonly bytes: Buffer; readonly address: number };

  constructor(work: BlockWork) {
    this.#work = work;
    this.#isZero = zeroTest(work.pageSize);
    const bytes = Buffer.alloc(work.pageSize);
    this.#scratch = { bytes, address: addressOf(bytes) };
  }

  /** Fills `block` with the pages of `wanted` in [start, end), which are not more than fit. */
  fill(block: PageBlock, reader: PageReader, wanted: PageBitmap, start: number, end: number): void {
    const { pageSize, shareZero, editor } = this.#work;
    const { codec, compressor } = this.#work.compressor;
    const { sizes, flags, data, address } = block;
    const codecBits = codecFlag[codec];
    let count = 0;
    let used = 0;
    for (let pfn = wanted.nextSet(start, end); pfn < end; pfn = wanted.nextSet(pfn + 1, end)) {
      if (reader.load(pfn) !== undefined) {
        sizes[count] = 0;
        flags[count++] = unreadablePage;
        continue;
      }
      let { bytes, at } = reader;
      let from = reader.address + at;
      if (editor?.touches(pfn)) {
        bytes.copy(this.#scratch.bytes, 0, at, at + pageSize);
        editor.apply(pfn, this.#scratch.bytes, 0);
        bytes = this.#scratch.bytes;
        at = 0;
        from = this.#scratch.address;
      }
      if (shareZero && this.#isZero(bytes, at)) {
        sizes[count] = 0;
        flags[count++] = zeroPage;
        continue;
      }
      const size = compressor === undefined ? 0 : compressor.compress(from, pageSize, address + used, pfn);
      if (size > 0) {
        sizes[count] = size;
        flags[count++] = codecBits;
        used += size;
      } else {
        bytes.copy(data, used, at, at + pageSize);
        sizes[count] = pageSize;
        flags[count++] = codecFlag.none;
        used += pageSize;
      }
    }
    block.set(count, used);
  }
}
