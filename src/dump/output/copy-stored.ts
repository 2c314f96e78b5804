import { codecFlag, dumpLayout, statusIncomplete } from '../../formats/diskdump.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';
import type { Progress } from '../../lib/progress.ts';
import { PageBlock, pagesInBlock, unreadablePage, zeroPage } from '../crew/page-block.ts';
import type { KdumpPart } from '../input/kdump-part.ts';
import type { KdumpSource } from '../input/kdump-source.ts';
import { pieceBytes } from '../input/stored-bitmap.ts';
import type { StoredPages } from '../input/stored-pages.ts';
import { KdumpWriter } from './kdump-writer.ts';
import type { Sink } from './sink.ts';

/** Pages of bitmap 2, by what became of them. */
export type StoredCopy = { readonly kept: number; readonly lost: number };

/**
 * Copies the pages of a kdump-compressed dump, or of a whole split set, to one new dump, as they are stored: nothing
 * is decompressed.
 * @param isWhole judges each page first; pages that are not whole are left out of the new bitmap 2. Without it, pages
 *   that cannot be read stay in bitmap 2 with a descriptor of zeros, as in any incomplete dump
 * @throws KdumpError `no-space`, `write-failed`
 */
export function copyStored(
  source: KdumpSource,
  sink: Sink,
  progress: Progress,
  isWhole?: (pfn: number) => boolean,
): StoredCopy {
  const { made, blockSize, notes } = source;
  const { present, stored, header } = source.parts[0]!;
  const total = stored.count;
  const layout = dumpLayout(blockSize, notes.length, header.maxMapnr, 0);
  const shareZero = (made.dumpLevel & 1) !== 0;
  const writer = new KdumpWriter(sink, {
    layout,
    utsname: made.utsname,
    crashTime: made.crashTime,
    status: made.status & ~statusIncomplete,
    maxMapnr: header.maxMapnr,
    nrCpus: made.cpuCount,
    physBase: made.physBase,
    dumpLevel: made.dumpLevel,
    notes,
    vmcoreinfoOffset: source.vmcoreinfoOffset,
    vmcoreinfoSize: source.vmcoreinfoSize,
  });
  try {
    const selection = new Selection();
    let kept = 0;
    let done = 0;
    let written = 0;
    const presentBytes = new Uint8Array(pieceBytes);
    for (const piece of stored.pieces()) {
      if (isWhole !== undefined) {
        const before = piece.count();
        for (let pfn = piece.nextSet(piece.first); pfn < piece.end; pfn = piece.nextSet(pfn + 1)) {
          if (!isWhole(pfn)) piece.clear(pfn);
          if (++done % progressPages === 0) progress('Checking pages', done, total);
        }
        selection.remember(piece, before);
      }
      kept += piece.count();
      const bytes = present.read(piece.first, piece.length, presentBytes);
      writer.writeBitmaps(piece.first / 8, bytes, piece.bytes);
      written = piece.first / 8 + bytes.length;
    }
    // The rest of the last block of each bitmap.
    const padding = new Uint8Array(layout.bitmapBytes - written);
    if (padding.length > 0) writer.writeBitmaps(written, padding, padding);

    writer.begin(kept, shareZero);
    const copier = new Copier(source.storedPages(), blockSize, shareZero, writer);
    for (const piece of stored.pieces()) {
      selection.apply(piece);
      for (let pfn = piece.nextSet(piece.first); pfn < piece.end; pfn = piece.nextSet(pfn + 1)) {
        copier.copy(pfn);
        if (copier.copied % progressPages === 0) progress('Copying data', copier.copied, kept);
      }
    }
    copier.flush();
    progress('Copying data', kept, kept);
    const lost = total - kept + copier.unreadable;
    writer.finish(made.eraseinfo, lost > 0 || (made.status & statusIncomplete) !== 0);
    return { kept: kept - copier.unreadable, lost };
  } catch (error) {
    writer.giveUp();
    throw error;
  }
}

const progressPages = 1024;

/** Which pages of bitmap 2 were left out: the pieces that lost none need no memory, nor do those that lost all. */
class Selection {
  readonly #changed = new Map<number, Uint8Array | 'none'>();

  remember(piece: PageBitmap, before: number): void {
    const count = piece.count();
    if (count === before) return;
    this.#changed.set(piece.first, count === 0 ? 'none' : Uint8Array.from(piece.bytes));
  }

  apply(piece: PageBitmap): void {
    const changed = this.#changed.get(piece.first);
    if (changed === undefined) return;
    if (changed === 'none') piece.bytes.fill(0);
    else piece.bytes.set(changed);
  }
}

/** Gathers stored pages in blocks for the writer. */
class Copier {
  copied = 0;
  unreadable = 0;
  readonly #pages: StoredPages;
  readonly #blockSize: number;
  readonly #shareZero: boolean;
  readonly #writer: KdumpWriter;
  readonly #block: PageBlock;
  /** Whether the first data of a part is the page of zeros that its zero pages share. */
  readonly #zeroPages = new Map<KdumpPart, boolean>();
  #count = 0;
  #used = 0;

  constructor(pages: StoredPages, blockSize: number, shareZero: boolean, writer: KdumpWriter) {
    this.#pages = pages;
    this.#blockSize = blockSize;
    this.#shareZero = shareZero;
    this.#writer = writer;
    this.#block = new PageBlock(new ArrayBuffer(PageBlock.bytesFor(blockSize, 0)), 0, blockSize, 0);
  }

  copy(pfn: number): void {
    if (this.#count === pagesInBlock(this.#blockSize)) this.flush();
    const { sizes, flags, data } = this.#block;
    const pages = this.#pages;
    const at = this.#count++;
    this.copied++;
    sizes[at] = 0;
    if (pages.find(pfn) !== undefined || !pages.fetch()) {
      this.unreadable++;
      flags[at] = unreadablePage;
      return;
    }
    if (this.#isShared()) {
      flags[at] = zeroPage;
      return;
    }
    pages.memory.bytes.copy(data, this.#used, pages.at, pages.at + pages.size);
    sizes[at] = pages.size;
    flags[at] = pages.flags;
    this.#used += pages.size;
  }

  flush(): void {
    if (this.#count === 0) return;
    this.#block.set(this.#count, this.#used);
    this.#writer.append(this.#block);
    this.#count = 0;
    this.#used = 0;
  }

  /** Whether the page that was fetched is the shared page of zeros. */
  #isShared(): boolean {
    const { part, offset, flags, size, memory, at } = this.#pages;
    if (!this.#shareZero || flags !== codecFlag.none || offset !== part.dataOffset) return false;
    let zero = this.#zeroPages.get(part);
    if (zero === undefined) {
      zero = memory.bytes.subarray(at, at + size).every((byte) => byte === 0);
      this.#zeroPages.set(part, zero);
    }
    return zero;
  }
}
