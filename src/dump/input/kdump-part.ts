import { pageDescSize } from '../../formats/diskdump.ts';
import { type KdumpHeader, pageDataOffset, readKdumpHeader } from '../../formats/diskdump-header.ts';
import type { ReadAt } from '../../formats/elf.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { ByteSource } from './bytes.ts';
import { FlattenedBytes } from './flattened.ts';
import { StoredBitmap } from './stored-bitmap.ts';

/** One kdump-compressed file: a whole dump, or a part of a split set. */
export class KdumpPart {
  readonly file: ByteSource;
  readonly header: KdumpHeader;
  /** Page frames whose data this file holds. */
  readonly start: number;
  readonly end: number;
  /** Page frames that exist, and those that are in the dump: of the whole set in every part. */
  readonly present: StoredBitmap;
  readonly stored: StoredBitmap;
  /** Index of the first descriptor of this part, were the set one file. */
  #firstIndex: number | undefined;
  #dataOffset: number | undefined;

  /** @throws KdumpError when this is no kdump-compressed file, or ends before its bitmaps do */
  constructor(file: ByteSource) {
    this.file = file;
    const { path, size } = file;
    this.header = readKdumpHeader(reader(file), path);
    const { header } = this;
    if (header.descriptorOffset > size) {
      throw new KdumpError(
        'truncated',
        `${path}: the bitmaps reach to offset ${header.descriptorOffset}, but the file ends at ${size}`,
        {
          fix: 'Without its bitmaps nothing of the dump can be found; copy it again from where it was taken.',
          facts: { size, needed: header.descriptorOffset },
        },
      );
    }
    if (header.split && (header.startPfn > header.endPfn || header.endPfn > header.maxMapnr)) {
      throw new KdumpError(
        'bad-header',
        `${path}: this part holds page frames ${header.startPfn} to ${header.endPfn} of ${header.maxMapnr}`,
      );
    }
    this.start = header.split ? header.startPfn : 0;
    this.end = header.split ? header.endPfn : header.maxMapnr;
    this.present = new StoredBitmap(file, header.bitmap1Offset, header.maxMapnr);
    this.stored =
      header.bitmapCount === 1 ? this.present : new StoredBitmap(file, header.bitmap2Offset, header.maxMapnr);
  }

  /** File offset of the descriptor of a page that is in the dump and in this part. */
  descriptorOffset(pfn: number): number {
    if (this.#firstIndex === undefined) this.#firstIndex = this.stored.rank(this.start);
    return this.header.descriptorOffset + (this.stored.rank(pfn) - this.#firstIndex) * pageDescSize;
  }

  /** Whether a range of the file was written at all: a hole of a flattened stream reads as zero, but is no data. */
  holds(offset: number, size: number): boolean {
    const { file } = this;
    if (offset + size > file.size) return false;
    return !(file instanceof FlattenedBytes) || file.complete || file.held(offset, size) === size;
  }

  /** File offset of the first page data, which is the shared zero page when zero pages are shared. */
  get dataOffset(): number {
    this.#dataOffset ??= pageDataOffset(this.header, this.stored.count);
    return this.#dataOffset;
  }
}

/** Reads of a file that never ask for more memory than the file has bytes. */
export const reader =
  (file: ByteSource): ReadAt =>
  (offset, length) => {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, file.size - offset)));
    return bytes.subarray(0, file.readInto(offset, bytes));
  };
