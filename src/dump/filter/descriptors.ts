import { isMissing, type VirtualMemory } from '../../kernel/memory.ts';
import type { SectionMap } from '../../kernel/sparsemem.ts';

/** Descriptors of the frames [start, end): the one of `origin` is at the beginning of `words`. */
export type Descriptors = {
  readonly words: Uint32Array;
  readonly origin: number;
  readonly start: number;
  readonly end: number;
};

/** Gets at the struct pages of a section. */
export class DescriptorReader {
  readonly #memory: VirtualMemory;
  readonly #sections: SectionMap;
  #buffer: Uint32Array | undefined;

  constructor(memory: VirtualMemory, sections: SectionMap) {
    this.#memory = memory;
    this.#sections = sections;
  }

  /** The readable runs of descriptors of [start, end), which lie in one section; good until the next call. */
  read(start: number, end: number): Descriptors[] {
    const { bases, pagesPerSection, pageStructSize } = this.#sections;
    const base = bases[Math.floor(start / pagesPerSection)];
    if (base === undefined) return [];
    const vaddr = base + BigInt(start) * BigInt(pageStructSize);
    const length = (end - start) * pageStructSize;
    const run = this.#memory.translate(vaddr);
    if (!isMissing(run) && run.length >= length) {
      const view = this.#memory.viewPhysical(run.paddr, length);
      if (view !== undefined && view.byteOffset % 4 === 0) {
        const words = new Uint32Array(view.buffer, view.byteOffset, length / 4);
        return [{ words, origin: start, start, end }];
      }
    }
    return this.#copy(vaddr, start, length);
  }

  #copy(vaddr: bigint, origin: number, length: number): Descriptors[] {
    const { pagesPerSection, pageStructSize } = this.#sections;
    this.#buffer ??= new Uint32Array((pagesPerSection * pageStructSize) / 4);
    const words = this.#buffer;
    const target = new Uint8Array(words.buffer, 0, length);
    const runs: Descriptors[] = [];
    let readableFrom = 0;
    const close = (until: number): void => {
      const start = origin + Math.ceil(readableFrom / pageStructSize);
      const end = origin + Math.floor(until / pageStructSize);
      if (end > start) runs.push({ words, origin, start, end });
    };
    for (let at = 0; at < length; ) {
      const run = this.#memory.translate(vaddr + BigInt(at));
      // What the page tables do not map, and what cannot be read, is skipped by the smallest page there is.
      const toPageEnd = smallestPage - Number((vaddr + BigInt(at)) % BigInt(smallestPage));
      let end = Math.min(length, at + (isMissing(run) ? toPageEnd : run.length));
      let readable = !isMissing(run) && this.#read(run.paddr, target.subarray(at, end));
      if (!readable && !isMissing(run) && end - at > toPageEnd) {
        // A large page of which a part is missing: piece by piece.
        end = at + toPageEnd;
        readable = this.#read(run.paddr, target.subarray(at, end));
      }
      if (!readable) {
        close(at);
        readableFrom = end;
      }
      at = end;
    }
    close(length);
    return runs;
  }

  #read(paddr: number, target: Uint8Array): boolean {
    return this.#memory.readPhysicalInto(paddr, target) === undefined;
  }
}

const smallestPage = 4096;
