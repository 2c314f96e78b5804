import type { PageEditor } from './crew/page-block.ts';
import type { ErasePiece } from './erase/apply.ts';

/** What is to be overwritten in the dump. */
export type Erasure = {
  readonly pieces: readonly ErasePiece[];
  readonly editor: PageEditor;
  /** What a reader of the dump is told of it. @param isDumped whether a page frame is in the dump */
  info(isDumped: (pfn: number) => boolean): Uint8Array;
};

/** Remembers which of the pages that are edited are in the dump, while bitmaps come and go. */
export class EditedPages {
  readonly #frames: readonly number[];
  readonly #dumped = new Set<number>();

  constructor(erasure: Erasure | undefined, pageSize: number) {
    const frames = new Set<number>();
    for (const { paddr, length } of erasure?.pieces ?? []) {
      for (let pfn = Math.floor(paddr / pageSize); pfn * pageSize < paddr + length; pfn++) frames.add(pfn);
    }
    this.#frames = [...frames];
  }

  look(kept: { readonly first: number; readonly end: number; has(pfn: number): boolean }): void {
    for (const pfn of this.#frames) {
      if (pfn >= kept.first && pfn < kept.end && kept.has(pfn)) this.#dumped.add(pfn);
    }
  }

  has(pfn: number): boolean {
    return this.#dumped.has(pfn);
  }
}
