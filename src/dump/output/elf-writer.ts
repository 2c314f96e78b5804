import { statusIncomplete } from '../../formats/diskdump.ts';
import {
  elfFlagsOf,
  elfFlagsOffset,
  elfHeaderSize,
  elfHeadersSize,
  elfIncomplete,
  encodeElfFlags,
  encodeElfHeader,
  encodeNote,
  encodeProgramHeader,
  programHeaderSize,
} from '../../formats/elf-encode.ts';
import type { VirtualMemory } from '../../kernel/memory.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';
import type { Progress } from '../../lib/progress.ts';
import type { PageEditor } from '../crew/page-block.ts';
import type { DumpSource } from '../input/source.ts';
import { ElfBody, firstLoadHeader, OutputFull, type SegmentPlace } from './elf-body.ts';
import { type ElfOrigin, elfOriginOf } from './elf-origin.ts';
import { SegmentSplitter } from './elf-segments.ts';
import { noSpace } from './no-space.ts';
import type { Sink } from './sink.ts';

/** Everything that an ELF dump is made of. */
export type ElfWork = {
  readonly source: DumpSource;
  readonly sink: Sink;
  /** Bytes. */
  readonly pageSize: number;
  /** Of the crashed kernel; tells virtual addresses where the source has none. */
  readonly memory: VirtualMemory | undefined;
  /**
   * The frames that are kept, in ascending pieces. Gone through twice, with the same result; a bitmap is good until the
   * next one.
   */
  readonly cycles: () => Iterable<PageBitmap>;
  readonly editor: PageEditor | undefined;
  /** Text of the erase filters that were applied; empty when none were. */
  readonly eraseinfo: Uint8Array;
};

/** What was written. */
export type ElfWritten = {
  /** Program headers of memory. */
  readonly segments: number;
  /** Pages of memory in the file, excluded ones in short runs and repeated ones included. */
  readonly pages: number;
  /** Pages that could not be read; zeros stand for them. */
  readonly unreadable: number;
};

/** Note of the erase filters, for whoever wonders why there is an X; as makedumpfile names it. */
const eraseinfoNote = 'ERASEINFO';

/**
 * Writes an ELF core (-E), as makedumpfile does byte for byte: each segment of the input is divided where 256 or more
 * pages in a row are excluded; shorter runs stay, with what is in them. In the file lie the ELF header, the program
 * headers, the notes, then the data without gaps. Memory that two segments of the input describe, as the kernel text on
 * x86_64, is in the file twice, so that each virtual address has its segment.
 *
 * As in a kdump-compressed file, "incomplete" stands in the header until the end, and what the program headers promise
 * is there: they are written after their data.
 * @throws KdumpError; with code `no-space` the file is readable as far as it goes
 */
export function writeElfDump(work: ElfWork, progress: Progress): ElfWritten {
  const { source, sink, pageSize } = work;
  const origin = elfOriginOf(source, pageSize, work.memory);
  const sizes = measure(work, origin);
  const segments = sizes.reduce((sum, size) => sum + size.pieces, 0);
  const total = sizes.reduce((sum, size) => sum + size.bytes, 0);
  const notes = notesOf(work);
  const headersSize = elfHeadersSize(1 + segments);
  const head = new ElfHead(sink, source, origin.header);
  const body = new ElfBody({
    source,
    sink,
    pageSize,
    editor: work.editor,
    wrote: (bytes) => progress('Copying data', bytes / pageSize, total / pageSize),
  });
  const places = placesOf(origin, sizes, headersSize + notes.length);
  try {
    head.begin(1 + segments, { ...origin.note, offset: headersSize, filesz: notes.length });
    if (sink.write(notes, headersSize) < notes.length) throw noSpace(sink);
    // Headers that come after their data must find room on a full disk.
    sink.reserve(firstLoadHeader, segments * programHeaderSize);
    writeBody(work, body, places);
    head.end(body.unreadable > 0);
  } catch (error) {
    head.giveUp();
    throw error;
  }
  if (total === 0) progress('Copying data', 0, 0);
  return { segments, pages: Math.ceil(total / pageSize), unreadable: body.unreadable };
}

type SegmentSize = { pieces: number; bytes: number };

/** How many pieces and how many bytes each segment will have. */
function measure({ cycles, pageSize }: ElfWork, { loads }: ElfOrigin): SegmentSize[] {
  const sizes = loads.map(() => ({ pieces: 0, bytes: 0 }));
  const splitters = loads.map(({ paddr, memsz }, i) => {
    const size = sizes[i]!;
    const start = Number(paddr);
    return new SegmentSplitter(start, start + memsz, pageSize, {
      data(from, to) {
        size.bytes += to - from;
      },
      piece() {
        size.pieces++;
      },
    });
  });
  for (const kept of cycles()) for (const splitter of splitters) splitter.feed(kept);
  for (const splitter of splitters) splitter.finish();
  return sizes;
}

function placesOf({ loads }: ElfOrigin, sizes: readonly SegmentSize[], firstByte: number): SegmentPlace[] {
  let headerAt = firstLoadHeader;
  let dataAt = firstByte;
  return loads.map((origin, i) => {
    const { pieces, bytes } = sizes[i]!;
    const headersEnd = headerAt + pieces * programHeaderSize;
    const place = { origin, headerAt, headersEnd, dataAt, pieceAt: dataAt };
    headerAt = headersEnd;
    dataAt += bytes;
    return place;
  });
}

function writeBody(
  { cycles, pageSize, sink }: ElfWork,
  body: ElfBody,
  places: readonly SegmentPlace[],
): void {
  const segments = places.map((place) => {
    const { paddr, memsz } = place.origin;
    const start = Number(paddr);
    const splitter = new SegmentSplitter(start, start + memsz, pageSize, {
      data: (from, to) => body.data(place, from, to),
      piece: (piece, last) => body.piece(place, piece, last),
    });
    return { place, splitter };
  });
  try {
    for (const kept of cycles()) {
      body.begin(kept);
      for (const { splitter } of segments) splitter.feed(kept);
      // The bitmap will be another one.
      body.flush();
    }
    for (const { splitter } of segments) splitter.finish();
    body.flush();
  } catch (error) {
    if (!(error instanceof OutputFull)) throw error;
    const unfinished = segments.filter(({ splitter }) => !splitter.finished);
    body.salvage(unfinished.map(({ place, splitter }) => ({ place, rest: splitter.rest })));
    throw noSpace(sink);
  }
}

function notesOf({ source, eraseinfo }: ElfWork): Uint8Array {
  if (eraseinfo.length === 0) return source.notes;
  return Buffer.concat([source.notes, encodeNote(eraseinfoNote, 0, eraseinfo)]);
}

/** The ELF header, whose word on being incomplete is the last that is written. */
class ElfHead {
  readonly #sink: Sink;
  readonly #template: Uint8Array;
  readonly #flags: number;

  constructor(sink: Sink, source: DumpSource, template: Uint8Array) {
    this.#sink = sink;
    this.#template = template;
    const lacking = ((source.made?.status ?? 0) & statusIncomplete) !== 0;
    this.#flags = elfFlagsOf(template) | (lacking ? elfIncomplete : 0);
  }

  /** Writes the header, the section header if there is one, and the program header of the notes. */
  begin(programHeaders: number, note: Parameters<typeof encodeProgramHeader>[2]): void {
    const { header, section } = encodeElfHeader(this.#template, programHeaders, this.#flags | elfIncomplete);
    const head = Buffer.alloc(firstLoadHeader);
    head.set(header);
    encodeProgramHeader(head, elfHeaderSize, note);
    if (this.#sink.rewritable) this.#write(head, 0);
    else {
      const flagsEnd = elfFlagsOffset + 4;
      this.#write(head.subarray(0, elfFlagsOffset), 0);
      this.#write(head.subarray(flagsEnd), flagsEnd);
    }
    if (section !== undefined) this.#write(section, elfHeaderSize + programHeaders * programHeaderSize);
  }

  end(incomplete: boolean): void {
    this.#write(encodeElfFlags(this.#flags | (incomplete ? elfIncomplete : 0)), elfFlagsOffset);
  }

  /** After an error: a stream still says what it is; a file has said so from the beginning. */
  giveUp(): void {
    if (this.#sink.rewritable) return;
    try {
      this.#sink.write(encodeElfFlags(this.#flags | elfIncomplete), elfFlagsOffset);
    } catch {
      // The error that brought us here is the one to tell.
    }
  }

  #write(bytes: Uint8Array, offset: number): void {
    if (this.#sink.write(bytes, offset) < bytes.length) throw noSpace(this.#sink);
  }
}
