import {
  codecFlag,
  type DumpHeader,
  type DumpLayout,
  encodeHeaders,
  headerLayout,
  pageDescSize,
  statusIncomplete,
  subHeaderLayout,
  writePart,
} from '../../formats/diskdump.ts';
import type { PfnRange } from '../../lib/bitmap.ts';
import { KdumpError } from '../../lib/errors.ts';
import { writeStruct } from '../../lib/layout.ts';
import { type PageBlock, unreadablePage, zeroPage } from '../crew/page-block.ts';
import { noSpace } from './no-space.ts';
import type { Sink } from './sink.ts';

/** page_desc in 32-bit words: offset (two), size, flags, page_flags (two). */
const wordsOfDesc = pageDescSize / 4;

/**
 * Writes one kdump-compressed file: headers, bitmaps piece by piece, then blocks of pages in ascending order.
 *
 * The header says "incomplete" from the first byte on and stops saying so with the last: a file that a full disk, a
 * power cut or a watchdog ends is readable as far as it got. Data goes before its descriptors for the same reason:
 * a descriptor that is there points at data that is there, all others read as zero. A stream can take nothing back, so
 * there the fields that only the end decides about are sent at the end.
 */
export class KdumpWriter {
  readonly sink: Sink;
  readonly #layout: DumpLayout;
  readonly #headers: Buffer;
  readonly #status: number;
  readonly #blockSize: number;
  /** Where the next page's data, and its descriptor, go. */
  #dataOffset = 0;
  #descriptorOffset: number;
  /** File offset of the shared zero page; 0 when there is none. */
  #zeroPageOffset = 0;
  /** page_desc of a block, as the words that they are made of. */
  #descriptors = new Uint32Array(0);

  /**
   * Writes the headers.
   * @param layout as for a dump without pages: how many there are is said by `begin`
   * @throws KdumpError `no-space`, `write-failed`
   */
  constructor(sink: Sink, header: DumpHeader) {
    this.sink = sink;
    this.#layout = header.layout;
    this.#blockSize = header.layout.blockSize;
    this.#status = header.status;
    this.#descriptorOffset = header.layout.descriptorOffset;
    this.#headers = encodeHeaders({ ...header, status: header.status | statusIncomplete });
    if (sink.rewritable) {
      this.#write(this.#headers, 0);
      return;
    }
    let from = 0;
    for (const [start, end] of this.#lateFields()) {
      this.#write(this.#headers.subarray(from, start), from);
      from = end;
    }
    this.#write(this.#headers.subarray(from), from);
  }

  /**
   * Writes a piece of both bitmaps.
   * @param at bytes from the start of each bitmap
   */
  writeBitmaps(at: number, present: Uint8Array, kept: Uint8Array): void {
    this.#write(present, this.#layout.bitmapOffset + at);
    this.#write(kept, this.keptBitmapOffset + at);
  }

  /** File offset of bitmap 2. */
  get keptBitmapOffset(): number {
    return this.#layout.bitmapOffset + this.#layout.bitmapBytes;
  }

  /**
   * Says how many pages the whole dump has, before the first of them.
   * @param sharesZero the shared zero page is stored
   * @param part page frames whose data this file of a split set holds
   */
  begin(pages: number, sharesZero: boolean, part?: PfnRange): void {
    const { descriptorOffset } = this.#layout;
    if (part !== undefined) {
      writePart(this.#headers, this.#layout, part);
      const at = this.#blockSize;
      this.#write(this.#headers.subarray(at, at + subHeaderLayout.size), at);
    }
    this.#dataOffset = descriptorOffset + pages * pageDescSize;
    // Descriptors that will be written must find room on a full disk, and those that will not must read as zero.
    this.sink.reserve(descriptorOffset, pages * pageDescSize);
    if (!sharesZero) return;
    this.#zeroPageOffset = this.#dataOffset;
    this.#write(Buffer.alloc(this.#blockSize), this.#dataOffset);
    this.#dataOffset += this.#blockSize;
  }

  /**
   * Writes a block of pages.
   * @throws KdumpError `no-space`; every page whose data is in the file has its descriptor then
   */
  append(block: PageBlock): void {
    const stored = this.sink.write(block.data.subarray(0, block.used), this.#dataOffset);
    const described = this.#describe(block, this.#dataOffset + stored);
    this.#write(
      new Uint8Array(this.#descriptors.buffer, 0, described * pageDescSize),
      this.#descriptorOffset,
    );
    if (stored < block.used) throw noSpace(this.sink);
    this.#dataOffset += stored;
    this.#descriptorOffset += described * pageDescSize;
  }

  /**
   * Writes what only the end decides.
   * @param eraseinfo text of the erase filters that were applied
   * @param incomplete some pages of bitmap 2 have no data
   */
  finish(eraseinfo: Uint8Array, incomplete: boolean): void {
    if (eraseinfo.length > 0) {
      this.#write(eraseinfo, this.#dataOffset);
      writeStruct(subHeaderLayout, this.#headers, this.#blockSize, {
        offsetEraseinfo: this.#dataOffset,
        sizeEraseinfo: eraseinfo.length,
      });
    }
    writeStruct(headerLayout, this.#headers, 0, {
      status: incomplete ? this.#status | statusIncomplete : this.#status,
    });
    this.#writeLateFields();
  }

  /** After an error: a stream still says what it is, incomplete; a file has said so from the beginning. */
  giveUp(): void {
    if (!this.sink.rewritable) this.#writeLateFields();
  }

  #writeLateFields(): void {
    // From the last to the first: the status, which ends the promise, comes last.
    for (const [start, end] of this.#lateFields().reverse())
      this.#write(this.#headers.subarray(start, end), start);
  }

  /** Ranges of the headers that are known at the end only. */
  #lateFields(): [number, number][] {
    const eraseinfo = this.#blockSize + subHeaderLayout.fields.offsetEraseinfo[0];
    const status = headerLayout.fields.status[0];
    return [
      [status, status + 4],
      [eraseinfo, eraseinfo + 16],
    ];
  }

  /** Fills `#descriptors` from a block; gives how many, up to the first whose data does not end at or before `end`. */
  #describe(block: PageBlock, end: number): number {
    const { count, sizes, flags } = block;
    if (this.#descriptors.length < count * wordsOfDesc)
      this.#descriptors = new Uint32Array(count * wordsOfDesc);
    const words = this.#descriptors;
    let offset = this.#dataOffset;
    for (let i = 0, at = 0; i < count; i++, at += wordsOfDesc) {
      const mark = flags[i]!;
      if (mark === unreadablePage) {
        words.fill(0, at, at + wordsOfDesc);
        continue;
      }
      const shared = mark === zeroPage;
      const size = shared ? this.#blockSize : sizes[i]!;
      const place = shared ? this.#zeroPageOffset : offset;
      if (!shared) offset += size;
      if (offset > end) return i;
      words[at] = place % 2 ** 32;
      words[at + 1] = Math.floor(place / 2 ** 32);
      words[at + 2] = size;
      words[at + 3] = shared ? codecFlag.none : mark;
      // page_flags, the last two, are always 0, as the buffer is.
    }
    return count;
  }

  #write(bytes: Uint8Array, offset: number): void {
    if (this.sink.write(bytes, offset) === bytes.length) return;
    if (this.#dataOffset > 0) throw noSpace(this.sink);
    // Without headers and bitmaps a file is worth nothing.
    throw new KdumpError(
      'no-space-for-headers',
      `${this.sink.path}: no space for the headers of the dump; nothing was kept`,
    );
  }
}
