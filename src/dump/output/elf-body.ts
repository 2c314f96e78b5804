import type { ProgramHeader } from '../../formats/elf.ts';
import { elfHeaderSize, encodeProgramHeader, programHeaderSize } from '../../formats/elf-encode.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { PageEditor } from '../crew/page-block.ts';
import type { DumpSource, PageReader } from '../input/source.ts';
import type { SegmentPiece } from './elf-segments.ts';
import type { Sink } from './sink.ts';

/** Bytes that are gathered before they are written. */
const gatherBytes = 2 ** 20;
/** Least that is written from where it is mapped instead. */
const directBytes = 2 ** 18;
/** Program headers that are gathered. */
const gatherHeaders = 1024;

/** File offset of the first program header of memory: behind that of the notes. */
export const firstLoadHeader = elfHeaderSize + programHeaderSize;

/** The output has no more space. What was written can be saved: see `ElfBody.salvage`. */
export class OutputFull extends Error {}

/** Where the pieces of one segment of the input go; offsets in the new file, bytes. */
export type SegmentPlace = {
  /** What its pieces inherit from. */
  readonly origin: ProgramHeader;
  /** The next program header, and the end of the room for those of this segment. */
  headerAt: number;
  readonly headersEnd: number;
  /** The next byte that is written. */
  dataAt: number;
  /** First byte of the piece that has not ended. */
  pieceAt: number;
};

export type ElfBodyWork = {
  readonly source: DumpSource;
  readonly sink: Sink;
  /** Bytes. */
  readonly pageSize: number;
  readonly editor: PageEditor | undefined;
  /** Told how many bytes of data are in the file. */
  readonly wrote: (bytes: number) => void;
};

/**
 * Writes the data of segments, and always after it the program headers that promise it. Of each segment the data and
 * the headers are contiguous, so that much can be written at a time.
 */
export class ElfBody {
  /** Bytes of data that are in the file. */
  bytes = 0;
  /** Pages that should be in the dump and could not be read: zeros stand for them. */
  unreadable = 0;
  readonly #work: ElfBodyWork;
  readonly #data = Buffer.alloc(gatherBytes);
  #used = 0;
  /** Headers of pieces whose data may not be written yet. */
  #waiting: ProgramHeader[] = [];
  readonly #headers = Buffer.alloc(gatherHeaders * programHeaderSize);
  /** The segment that what is gathered belongs to. */
  #place: SegmentPlace | undefined;
  #kept: PageBitmap | undefined;
  #reader: PageReader | undefined;
  #lastRead = 0;

  constructor(work: ElfBodyWork) {
    this.#work = work;
  }

  /** Says which pages come next. */
  begin(kept: PageBitmap): void {
    this.#kept = kept;
    this.#reader = undefined;
  }

  /** Writes physical memory [from, to) as the next data of a segment. @throws OutputFull */
  data(place: SegmentPlace, from: number, to: number): void {
    this.#goTo(place);
    for (let at = from; at < to; ) {
      const length = this.#chunk(at, to);
      if (length === 0) this.#writeData(place);
      else this.#take(place, at, length);
      at += length;
    }
  }

  /** Adds the program header of a piece all of whose data was given. @throws OutputFull, and has not added it then */
  piece(place: SegmentPlace, piece: SegmentPiece, last: boolean): void {
    this.#goTo(place);
    if (this.#waiting.length === gatherHeaders) this.flush();
    // Without data an offset means nothing, but makedumpfile gives it for the last piece of a segment all the same, and
    // crash(8) takes that of the first PT_LOAD for the size of all headers and notes: with 0 it refuses the file.
    const offset = piece.filesz > 0 || last || this.#isFirst(place) ? place.pieceAt : 0;
    this.#waiting.push(headerOf(place, piece, offset));
    place.pieceAt += piece.filesz;
  }

  /** Writes what is gathered. @throws OutputFull */
  flush(): void {
    if (this.#place === undefined) return;
    this.#writeData(this.#place);
    if (!this.#writeHeaders(this.#place)) throw new OutputFull();
  }

  /**
   * After OutputFull: writes the headers that wait and those of pieces that have not ended, all cut to the data that
   * is in the file. The headers that were counted and will not come are of type PT_NULL, which is all zeros.
   * @param unfinished segments that have not ended, and the piece that each is at
   */
  salvage(unfinished: readonly { place: SegmentPlace; rest: SegmentPiece }[]): void {
    this.#used = 0;
    if (this.#place !== undefined) this.#writeHeaders(this.#place);
    for (const { place, rest } of unfinished) {
      const filesz = Math.min(rest.filesz, Math.max(0, place.dataAt - place.pieceAt));
      const offset = filesz > 0 || this.#isFirst(place) ? place.pieceAt : 0;
      this.#waiting = [headerOf(place, { ...rest, filesz }, offset)];
      this.#writeHeaders(place);
      this.#headers.fill(0);
      while (place.headerAt < place.headersEnd) {
        const length = Math.min(this.#headers.length, place.headersEnd - place.headerAt);
        if (this.#work.sink.write(this.#headers.subarray(0, length), place.headerAt) < length) break;
        place.headerAt += length;
      }
    }
  }

  /** Whether the next program header of a segment is the first of all. */
  #isFirst(place: SegmentPlace): boolean {
    return this.#waiting.length === 0 && place.headerAt === firstLoadHeader;
  }

  #goTo(place: SegmentPlace): void {
    if (this.#place === place) return;
    this.flush();
    this.#place = place;
  }

  /** Bytes from `at` on that are taken next: up to the end of a page, unless `to` comes first; 0 when there is no room. */
  #chunk(at: number, to: number): number {
    const room = gatherBytes - this.#used;
    if (to - at <= room) return to - at;
    return Math.max(0, room - ((at + room) % this.#work.pageSize));
  }

  #take(place: SegmentPlace, from: number, length: number): void {
    const { source, editor, sink } = this.#work;
    const view = source.view?.(from, length);
    if (view !== undefined && editor === undefined && length >= directBytes) {
      this.#writeData(place);
      this.#wrote(place, sink.write(view, place.dataAt), length);
      return;
    }
    const target = this.#data.subarray(this.#used, this.#used + length);
    if (view !== undefined) target.set(view);
    else if (source.readInto(from, target) !== undefined) this.#readPages(from, target);
    if (editor !== undefined) this.#edit(editor, from, target);
    this.#used += length;
  }

  /** Reads page by page, for memory that is not all there. */
  #readPages(from: number, target: Uint8Array): void {
    const kept = this.#kept!;
    const { source, pageSize } = this.#work;
    for (const { pfn, at, length, skip } of pagesOf(from, target.length, pageSize)) {
      const piece = target.subarray(at, at + length);
      if (source.readInto(from + at, piece) === undefined) continue;
      piece.fill(0);
      // Pages that were excluded and are only written along need not be there.
      if (pfn < kept.first || pfn >= kept.end || !kept.has(pfn)) continue;
      const reader = this.#readerFor(pfn);
      if (reader.load(pfn) !== undefined) this.unreadable++;
      // The segments of the input have a part of the page.
      else piece.set(reader.bytes.subarray(reader.at + skip, reader.at + skip + length));
    }
  }

  /** A reader goes upwards, and the segments may lie in any order. */
  #readerFor(pfn: number): PageReader {
    if (this.#reader === undefined || pfn < this.#lastRead)
      this.#reader = this.#work.source.pages(this.#work.pageSize, this.#kept!);
    this.#lastRead = pfn;
    return this.#reader;
  }

  /** Overwrites what is to be erased. The editor works on whole pages. */
  #edit(editor: PageEditor, from: number, target: Uint8Array): void {
    const { pageSize } = this.#work;
    for (const { pfn, at, length, skip } of pagesOf(from, target.length, pageSize)) {
      if (!editor.touches(pfn)) continue;
      const page = Buffer.alloc(pageSize);
      page.set(target.subarray(at, at + length), skip);
      editor.apply(pfn, page, 0);
      target.set(page.subarray(skip, skip + length), at);
    }
  }

  #writeData(place: SegmentPlace): void {
    const length = this.#used;
    this.#used = 0;
    if (length > 0)
      this.#wrote(place, this.#work.sink.write(this.#data.subarray(0, length), place.dataAt), length);
  }

  #wrote(place: SegmentPlace, stored: number, wanted: number): void {
    place.dataAt += stored;
    this.bytes += stored;
    if (stored < wanted) throw new OutputFull();
    this.#work.wrote(this.bytes);
  }

  /** Writes the headers that wait. @returns whether there was room for them */
  #writeHeaders(place: SegmentPlace): boolean {
    const length = this.#waiting.length * programHeaderSize;
    if (place.headerAt + length > place.headersEnd)
      throw new KdumpError('internal', `${this.#work.sink.path}: more segments than were counted`);
    for (const [i, header] of this.#waiting.entries())
      encodeProgramHeader(this.#headers, i * programHeaderSize, cut(header, place.dataAt));
    this.#waiting = [];
    const stored = this.#work.sink.write(this.#headers.subarray(0, length), place.headerAt);
    place.headerAt += length;
    return stored === length;
  }
}

/** Program header of a piece whose data begins at a file offset. */
function headerOf(
  { origin }: SegmentPlace,
  { paddr, filesz, memsz }: SegmentPiece,
  offset: number,
): ProgramHeader {
  const start = BigInt(paddr);
  return { ...origin, offset, vaddr: origin.vaddr + (start - origin.paddr), paddr: start, filesz, memsz };
}

/** A program header that promises nothing beyond a file offset. */
function cut(header: ProgramHeader, end: number): ProgramHeader {
  if (header.offset + header.filesz <= end) return header;
  // The first data of all begins where the headers and notes end, and those are there.
  const filesz = Math.max(0, end - header.offset);
  return { ...header, filesz, offset: Math.min(header.offset, end) };
}

/** The parts of pages that make up a piece of memory: where each lies in the piece, and what of the page is before it. */
function* pagesOf(
  from: number,
  length: number,
  pageSize: number,
): Generator<{ pfn: number; at: number; length: number; skip: number }> {
  for (let at = 0; at < length; ) {
    const pfn = Math.floor((from + at) / pageSize);
    const skip = from + at - pfn * pageSize;
    const part = Math.min(pageSize - skip, length - at);
    yield { pfn, at, length: part, skip };
    at += part;
  }
}
