import { allocate, codecOf, type Memory, pageDecoder } from './page-decoder.ts';
import type { StoredPages } from './stored-pages.ts';

/** What is wrong with a page that a dump should have. */
export type PageFault = {
  readonly kind: 'never-written' | 'bad-descriptor' | 'bad-data' | 'lost-part';
  /** A sentence about it, without the page frame. */
  readonly what: string;
};

/** Tells whether pages are whole, and if not what is wrong with them. */
export class PageChecker {
  readonly pages: StoredPages;
  readonly #page: Memory;
  readonly #blockSize: number;

  constructor(pages: StoredPages, blockSize: number) {
    this.pages = pages;
    this.#blockSize = blockSize;
    this.#page = allocate(blockSize);
  }

  /**
   * Looks up, reads and decompresses a page of bitmap 2. What its descriptor says is in `pages` afterwards.
   * @throws KdumpError `no-codec` when the library for it is not installed
   */
  check(pfn: number): PageFault | undefined {
    const { pages } = this;
    const missing = pages.find(pfn);
    const { part, offset, size, flags } = pages;
    if (missing !== undefined) {
      if (pfn < part.start || pfn >= part.end)
        return { kind: 'lost-part', what: 'the part that holds it was not given' };
      return { kind: 'never-written', what: 'its descriptor was never written' };
    }
    const { file, header } = part;
    const descriptor = `offset ${offset}, size ${size}, flags 0x${flags.toString(16)}`;
    const bad = (what: string): PageFault => ({ kind: 'bad-descriptor', what: `${descriptor}: ${what}` });
    const codec = codecOf(flags);
    if (codec === undefined) return bad('the flags are no codec');
    if (size === 0 || size > this.#blockSize) return bad(`a page takes 1 to ${this.#blockSize} bytes`);
    if (codec === 'none' && size !== this.#blockSize) return bad('a page that is not compressed is whole');
    if (offset < header.descriptorOffset) return bad('lies within the headers');
    if (offset + size > file.size) return bad(`the file ends at ${file.size}`);
    if (!part.holds(offset, size)) return bad('no record of the stream holds it');
    if (!pages.fetch()) return { kind: 'bad-data', what: `${descriptor}: cannot be read` };
    if (codec === 'none') return undefined;
    const whole = pageDecoder(codec)(pages.memory, pages.at, size, this.#page, 0, this.#blockSize);
    return whole ? undefined : { kind: 'bad-data', what: `${descriptor}: no whole page of ${codec}` };
  }
}
