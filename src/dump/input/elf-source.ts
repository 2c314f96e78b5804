import {
  type ElfFile,
  NT_PRSTATUS,
  noPhysicalAddress,
  PT_LOAD,
  PT_NOTE,
  readElfCore,
  readNotes,
} from '../../formats/elf.ts';
import { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import type { Architecture, LinearSegment } from '../../kernel/arch.ts';
import { architectureOf } from '../../kernel/architectures.ts';
import { type Missing, type MissingReason, missing } from '../../kernel/memory.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';
import { KdumpError } from '../../lib/errors.ts';
import { addressOf } from '../../system/ffi.ts';
import type { ByteSource } from './bytes.ts';
import type { DumpSource, PageReader } from './source.ts';

/** A piece of physical memory that lies in one piece of the file. All in bytes; extents are sorted and disjoint. */
export type Extent = {
  readonly start: number;
  readonly end: number;
  /** File offset of `start`. */
  readonly offset: number;
};

/** Half-open range of physical addresses, bytes. */
export type PhysicalRange = { readonly start: number; readonly end: number };

/** Excluded pages that are read along rather than skipped: one more read costs about as much as copying these. */
const gapPages = 8;
/** /proc/kcore has offsets up to 2^56 (5-level paging): beyond 2^53 a number holds every eighth. */
const offsetStep = 8;
/** What a file that cannot be mapped is read into. */
const readBytes = 2 ** 20;

/** An ELF64 core: /proc/vmcore or a copy of one, /proc/kcore, what QEMU writes, what -E wrote. */
export class ElfSource implements DumpSource {
  readonly path: string;
  readonly arch: Architecture;
  readonly elf: ElfFile;
  readonly notes: Uint8Array;
  readonly vmcoreinfo: Vmcoreinfo | undefined;
  readonly vmcoreinfoOffset: number;
  readonly vmcoreinfoSize: number;
  readonly cpuCount: number;
  readonly segments: readonly LinearSegment[];
  readonly made = undefined;
  /** What the file holds. */
  readonly extents: readonly Extent[];
  /** What physical memory the segments describe, in file order; more than `extents` in an already filtered core. */
  readonly ranges: readonly PhysicalRange[];
  readonly #bytes: ByteSource;

  /**
   * Reads the headers of a core.
   * @throws KdumpError for a file that is no core, ends early, or has a PT_LOAD beyond its end; the bytes stay open
   */
  constructor(bytes: ByteSource) {
    this.#bytes = bytes;
    const { path, size } = bytes;
    this.path = path;
    const read = (offset: number, length: number): Uint8Array => {
      // A header that asks for more than the file has is a header not to be trusted with an allocation.
      const target = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
      return target.subarray(0, bytes.readInto(offset, target));
    };
    this.elf = readElfCore(read, path);
    this.arch = architectureOf(this.elf.machine, path);
    checkSegments(this.elf, size, path);
    this.extents = disjointExtents(this.elf);
    const loads = this.elf.programHeaders.filter(
      (ph) => ph.type === PT_LOAD && ph.paddr !== noPhysicalAddress,
    );
    this.segments = loads.map((ph) => ({ vaddr: ph.vaddr, paddr: Number(ph.paddr) }));
    this.ranges = loads.map((ph) => ({ start: Number(ph.paddr), end: Number(ph.paddr) + ph.memsz }));

    // The last PT_NOTE counts when there are several, as in the original (elf_info.c:867).
    const note = this.elf.programHeaders.findLast((ph) => ph.type === PT_NOTE);
    this.notes = note === undefined ? new Uint8Array(0) : read(note.offset, note.filesz);
    const notes = readNotes(this.notes);
    this.cpuCount = notes.filter((n) => n.type === NT_PRSTATUS && n.name === 'CORE').length;
    const info = notes.find((n) => n.name === 'VMCOREINFO');
    this.vmcoreinfo = info && Vmcoreinfo.fromBytes(info.description);
    this.vmcoreinfoOffset = info?.offset ?? 0;
    this.vmcoreinfoSize = info?.description.length ?? 0;
  }

  close(): void {
    this.#bytes.close();
  }

  maxPfn(pageSize: number): number {
    return this.ranges.reduce((pfn, range) => Math.max(pfn, Math.ceil(range.end / pageSize)), 0);
  }

  /** A page that a segment covers in part counts. */
  markPresent(bitmap: PageBitmap, pageSize: number): void {
    for (const { start, end } of this.ranges)
      bitmap.setRange(Math.floor(start / pageSize), Math.ceil(end / pageSize));
  }

  /** Pages that a segment describes but does not hold: p_memsz beyond p_filesz. */
  clearMissing(bitmap: PageBitmap, pageSize: number): void {
    let from = bitmap.first;
    for (const extent of this.extents) {
      const start = Math.floor(extent.start / pageSize);
      if (start > from) bitmap.clearRange(from, start);
      from = Math.max(from, Math.ceil(extent.end / pageSize));
    }
    bitmap.clearRange(from, bitmap.end);
  }

  pages(pageSize: number, wanted: PageBitmap): PageReader {
    return new ElfPages(this, this.#bytes, pageSize, wanted);
  }

  readInto(paddr: number, target: Uint8Array): Missing | undefined {
    let done = 0;
    let index = this.extentIndex(paddr);
    while (done < target.length) {
      const extent = this.extents[index];
      const from = paddr + done;
      if (extent === undefined || from < extent.start || from >= extent.end) return missing('hole', from);
      const length = Math.min(target.length - done, extent.end - from);
      const part = length === target.length ? target : target.subarray(done, done + length);
      const got = this.#readInto(extent, from, part);
      if (got < length) return missing('truncated', from + got);
      done += length;
      index++;
    }
    return undefined;
  }

  view(paddr: number, length: number): Uint8Array | undefined {
    const extent = this.extents[this.extentIndex(paddr)];
    if (extent === undefined || paddr < extent.start || paddr + length > extent.end) return undefined;
    const view = this.#bytes.view(extent.offset + (paddr - extent.start), length);
    return view?.bytes.subarray(view.at, view.at + length);
  }

  #readInto(extent: Extent, paddr: number, target: Uint8Array): number {
    const offset = extent.offset + (paddr - extent.start);
    const over = offset > Number.MAX_SAFE_INTEGER ? (paddr - extent.start) % offsetStep : 0;
    if (over === 0) return this.#bytes.readInto(offset, target);
    const bytes = new Uint8Array(over + target.length);
    const got = this.#bytes.readInto(extent.offset + (paddr - over - extent.start), bytes);
    target.set(bytes.subarray(over, Math.max(over, got)));
    return Math.max(0, got - over);
  }

  /** Index of the extent that covers a physical address, or of the next one above it. */
  extentIndex(paddr: number): number {
    let low = 0;
    let high = this.extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.extents[middle]!.end <= paddr) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Pages of an ELF core, from where they are mapped, or read in runs of wanted pages. */
class ElfPages implements PageReader {
  bytes: Buffer = Buffer.alloc(0);
  address = 0;
  at = 0;
  /** Physical range that is at hand in `bytes` from `#base` on; whole pages. */
  #from = 0;
  #to = 0;
  #base = 0;
  readonly #source: ElfSource;
  readonly #file: ByteSource;
  readonly #pageSize: number;
  readonly #wanted: PageBitmap;
  /** Buffer for what is not mapped. */
  #own: { readonly bytes: Buffer; readonly address: number } | undefined;

  constructor(source: ElfSource, file: ByteSource, pageSize: number, wanted: PageBitmap) {
    this.#source = source;
    this.#file = file;
    this.#pageSize = pageSize;
    this.#wanted = wanted;
  }

  load(pfn: number): MissingReason | undefined {
    const paddr = pfn * this.#pageSize;
    if (paddr < this.#from || paddr >= this.#to) {
      const failed = this.#move(pfn, paddr);
      if (failed !== undefined) return failed;
    }
    this.at = this.#base + (paddr - this.#from);
    return undefined;
  }

  #move(pfn: number, paddr: number): MissingReason | undefined {
    const size = this.#pageSize;
    this.#from = this.#to = 0;
    const extent = this.#source.extents[this.#source.extentIndex(paddr)];
    if (extent === undefined || extent.start >= paddr + size) return 'hole';
    const whole = Math.floor((extent.end - paddr) / size);
    if (paddr < extent.start || whole < 1) {
      this.#readPartial(paddr);
      return undefined;
    }
    const offset = extent.offset + (paddr - extent.start);
    const view = this.#file.view(offset, size);
    if (view !== undefined) {
      this.bytes = view.bytes;
      this.address = view.address;
      this.#base = view.at;
      this.#from = paddr;
      this.#to = paddr + Math.min(whole, Math.floor(view.length / size)) * size;
      return undefined;
    }
    const end = clusterEnd(this.#wanted, pfn, pfn + Math.min(whole, Math.floor(readBytes / size)));
    const buffer = this.#buffer();
    const got = this.#file.readInto(offset, buffer.subarray(0, (end - pfn) * size));
    if (got < size) return 'truncated';
    this.#from = paddr;
    this.#to = paddr + Math.floor(got / size) * size;
    return undefined;
  }

  /** A page that segments cover in part: what they have, the rest zeros. */
  #readPartial(paddr: number): void {
    const { extents } = this.#source;
    const target = this.#buffer().subarray(0, this.#pageSize).fill(0);
    const end = paddr + target.length;
    for (let i = this.#source.extentIndex(paddr); i < extents.length && extents[i]!.start < end; i++) {
      const from = Math.max(paddr, extents[i]!.start);
      const to = Math.min(end, extents[i]!.end);
      this.#source.readInto(from, target.subarray(from - paddr, to - paddr));
    }
    this.#from = paddr;
    this.#to = end;
  }

  #buffer(): Buffer {
    if (this.#own === undefined) {
      const bytes = Buffer.alloc(Math.max(readBytes, this.#pageSize));
      this.#own = { bytes, address: addressOf(bytes) };
    }
    this.bytes = this.#own.bytes;
    this.address = this.#own.address;
    this.#base = 0;
    return this.#own.bytes;
  }
}

/** End of a run of pages that are worth reading in one go, at most `limit`. */
function clusterEnd(wanted: PageBitmap, start: number, most: number): number {
  // Of what lies beyond the bitmap nothing is known, and nothing is wanted.
  const limit = Math.max(start + 1, Math.min(most, wanted.end));
  let end = Math.max(start + 1, wanted.nextClear(start, limit));
  while (end < limit) {
    const next = wanted.nextSet(end, Math.min(limit, end + gapPages + 1));
    if (next >= limit || next - end > gapPages) break;
    end = wanted.nextClear(next, limit);
  }
  return Math.min(end, limit);
}

/** Refuses a core whose segments are not all in the file, naming the first that is not. */
function checkSegments(core: ElfFile, size: number, path: string): void {
  for (const [i, ph] of core.programHeaders.entries()) {
    if (ph.filesz === 0 || ph.offset + ph.filesz <= size) continue;
    if (ph.type === PT_LOAD && ph.paddr === noPhysicalAddress) continue;
    const kind =
      ph.type === PT_LOAD ? 'PT_LOAD' : ph.type === PT_NOTE ? 'PT_NOTE' : `segment of type ${ph.type}`;
    throw new KdumpError(
      'truncated',
      `${path}: program header ${i} (${kind}) covers file offsets ${ph.offset} to ${ph.offset + ph.filesz}, but the file ends at ${size}`,
      {
        fix: 'The file is truncated: copy it again from where it was taken, or save what is there with --salvage.',
        facts: { header: i, offset: ph.offset, filesz: ph.filesz, size },
      },
    );
  }
}

/**
 * The segments as disjoint pieces of physical memory. They may overlap (on x86_64 the kernel text is there twice, by
 * its two virtual addresses); the first one in the file wins, as in the original.
 */
export function disjointExtents(core: ElfFile): Extent[] {
  const extents: Extent[] = [];
  for (const ph of core.programHeaders) {
    if (ph.type !== PT_LOAD || ph.paddr === noPhysicalAddress || ph.filesz === 0) continue;
    const start = Number(ph.paddr);
    for (const [from, to] of uncovered(start, start + ph.filesz, extents)) {
      extents.push({ start: from, end: to, offset: ph.offset + (from - start) });
    }
    extents.sort((a, b) => a.start - b.start);
  }
  return extents;
}

/** The parts of [start, end) that none of the sorted `extents` covers. */
function uncovered(start: number, end: number, extents: readonly Extent[]): [number, number][] {
  const parts: [number, number][] = [];
  let from = start;
  for (const extent of extents) {
    if (extent.end <= from || extent.start >= end) continue;
    if (extent.start > from) parts.push([from, extent.start]);
    from = Math.max(from, extent.end);
  }
  if (from < end) parts.push([from, end]);
  return parts;
}
