import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  type ElfFile,
  NT_PRSTATUS,
  noPhysicalAddress,
  PT_LOAD,
  PT_NOTE,
  readElfCore,
  readNotes,
} from '../formats/elf.ts';
import { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import type { LinearSegment } from '../kernel/arch.ts';
import { type Missing, missing, type PhysicalMemory } from '../kernel/memory.ts';
import { KdumpError } from '../lib/errors.ts';
import { addressOf } from '../system/ffi.ts';
import { isProcFile, type Mapping, mapFile, unmapFile } from '../system/mapping.ts';

/** A piece of physical memory that lies in one piece of the file. All in bytes; extents are sorted and disjoint. */
export type Extent = {
  readonly start: number;
  readonly end: number;
  /** File offset of `start`. */
  readonly offset: number;
};

/** Bytes of the vmcore in memory; good until the next call of `view`. */
export type View = {
  readonly bytes: Buffer;
  /** Address of bytes[0]; the view keeps its memory reachable. */
  readonly address: number;
  /** Where the bytes that were asked for begin. */
  readonly at: number;
};

/** Largest piece that `view` gives. */
export const maxViewBytes = 4 * 2 ** 20;
/** Piece of /proc/vmcore that is mapped at once: large enough that mmap(2) does not show, small enough for page tables. */
const mapBytes = 16 * 2 ** 20;
const hostPage = 4096;

/** An ELF64 vmcore: /proc/vmcore or a copy of one. */
export class Vmcore implements PhysicalMemory {
  readonly path: string;
  readonly size: number;
  readonly machine: number;
  /** The whole PT_NOTE segment, which goes into the dump as it is. */
  readonly notes: Uint8Array;
  readonly vmcoreinfo: Vmcoreinfo | undefined;
  /** Place of the VMCOREINFO text within `notes`; bytes. */
  readonly vmcoreinfoOffset: number;
  readonly vmcoreinfoSize: number;
  /** CPUs with a register note. */
  readonly cpuCount: number;
  /** What the file holds. */
  readonly extents: readonly Extent[];
  /** What physical memory the segments describe, in file order; more than `extents` in an already filtered core. */
  readonly ranges: readonly { readonly start: number; readonly end: number }[];
  readonly segments: readonly LinearSegment[];

  readonly #fd: number;
  /** Whether to map; given up for good when the kernel cannot map this file. */
  #mapped: boolean;
  #mapping: (Mapping & { readonly offset: number }) | undefined;
  /** What a file that is not mapped is read into; the buffer and its address belong together. */
  #buffer: { readonly bytes: Buffer; readonly address: number } | undefined;

  /**
   * Opens a vmcore and reads its headers.
   * @param mapped maps the file instead of reading it; by default only what lies in procfs
   * @throws KdumpError for a file that is no core, ends early, or has a PT_LOAD beyond its end
   */
  constructor(path: string, mapped?: boolean) {
    this.path = path;
    this.#fd = openForReading(path);
    try {
      this.size = fstatSync(this.#fd).size;
      const core = readElfCore((offset, length) => this.#readUpTo(offset, length), path);
      this.machine = core.machine;
      checkSegments(core, this.size, path);
      this.extents = disjointExtents(core);
      const loads = core.programHeaders.filter((ph) => ph.type === PT_LOAD && ph.paddr !== noPhysicalAddress);
      this.segments = loads.map((ph) => ({ vaddr: ph.vaddr, paddr: Number(ph.paddr) }));
      this.ranges = loads.map((ph) => ({ start: Number(ph.paddr), end: Number(ph.paddr) + ph.memsz }));

      // The last PT_NOTE counts when there are several, as in the original (elf_info.c:867).
      const note = core.programHeaders.findLast((ph) => ph.type === PT_NOTE);
      this.notes = note === undefined ? new Uint8Array(0) : this.#readUpTo(note.offset, note.filesz);
      const notes = readNotes(this.notes);
      this.cpuCount = notes.filter((n) => n.type === NT_PRSTATUS && n.name === 'CORE').length;
      const info = notes.find((n) => n.name === 'VMCOREINFO');
      this.vmcoreinfo =
        info && new Vmcoreinfo(Buffer.from(info.description).toString('latin1').replace(/\0.*$/s, ''));
      this.vmcoreinfoOffset = info?.offset ?? 0;
      this.vmcoreinfoSize = info?.description.length ?? 0;

      this.#mapped =
        (mapped ?? isProcFile(path)) && this.extents.every((e) => (e.offset - e.start) % hostPage === 0);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  close(): void {
    this.#unmap();
    closeSync(this.#fd);
  }

  /**
   * `length` bytes of the file from `offset` on, without a copy when the file is mapped.
   * @param length at most maxViewBytes
   * @throws KdumpError `read-failed` when the file does not give them
   */
  view(offset: number, length: number): View {
    if (this.#mapped) {
      const mapping = this.#map(offset, length);
      if (mapping !== undefined)
        return { bytes: mapping.bytes, address: mapping.address, at: offset - mapping.offset };
    }
    if (this.#buffer === undefined) {
      const bytes = Buffer.alloc(maxViewBytes);
      this.#buffer = { bytes, address: addressOf(bytes) };
    }
    const got = readFully(this.#fd, this.#buffer.bytes, length, offset);
    if (got < length) {
      throw new KdumpError(
        'read-failed',
        `${this.path}: offset ${offset}: ${length} bytes wanted, ${got} could be read`,
      );
    }
    return { ...this.#buffer, at: 0 };
  }

  readInto(paddr: number, target: Uint8Array): Missing | undefined {
    let done = 0;
    let index = this.#extentIndex(paddr);
    while (done < target.length) {
      const extent = this.extents[index];
      const from = paddr + done;
      if (extent === undefined || from < extent.start || from >= extent.end) return missing('hole', from);
      const length = Math.min(target.length - done, extent.end - from);
      const got = readFully(
        this.#fd,
        target.subarray(done, done + length),
        length,
        extent.offset + (from - extent.start),
      );
      if (got < length) return missing('truncated', from + got);
      done += length;
      index++;
    }
    return undefined;
  }

  /**
   * Fills `target` with the page at `paddr` as far as the file has it, the rest with zeros: for pages that a segment
   * covers in part only.
   */
  readPartialPage(paddr: number, target: Uint8Array): void {
    target.fill(0);
    const end = paddr + target.length;
    for (let i = this.#extentIndex(paddr); i < this.extents.length && this.extents[i]!.start < end; i++) {
      const from = Math.max(paddr, this.extents[i]!.start);
      const to = Math.min(end, this.extents[i]!.end);
      this.readInto(from, target.subarray(from - paddr, to - paddr));
    }
  }

  /** Index of the extent that covers a physical address, or of the next one above it. */
  #extentIndex(paddr: number): number {
    let low = 0;
    let high = this.extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.extents[middle]!.end <= paddr) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #readUpTo(offset: number, length: number): Uint8Array {
    // A header that asks for more than the file has is a header not to be trusted with an allocation.
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.size - offset)));
    return bytes.subarray(0, readFully(this.#fd, bytes, bytes.length, offset));
  }

  #map(offset: number, length: number): (Mapping & { readonly offset: number }) | undefined {
    const current = this.#mapping;
    if (current && offset >= current.offset && offset + length <= current.offset + current.length)
      return current;
    this.#unmap();
    const start = offset - (offset % hostPage);
    const end = Math.min(this.size, Math.max(start + mapBytes, offset + length));
    const mapping = mapFile(this.#fd, start, end - start);
    if (typeof mapping === 'number') {
      // A kernel that cannot map this file can still read it.
      this.#mapped = false;
      return undefined;
    }
    this.#mapping = { ...mapping, offset: start };
    return this.#mapping;
  }

  #unmap(): void {
    if (this.#mapping) unmapFile(this.#mapping);
    this.#mapping = undefined;
  }
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new KdumpError('open-failed', `${path}: cannot be opened: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Reads until `length` bytes are there, the file ends, or an error says that the rest cannot be read. */
function readFully(fd: number, target: Uint8Array, length: number, offset: number): number {
  let done = 0;
  while (done < length) {
    let got: number;
    try {
      got = readSync(fd, target, done, length - done, offset + done);
    } catch {
      return done;
    }
    if (got === 0) return done;
    done += got;
  }
  return done;
}

/** Refuses a core whose segments are not all in the file, naming the first that is not. */
function checkSegments(core: ElfFile, size: number, path: string): void {
  for (const [i, ph] of core.programHeaders.entries()) {
    if (ph.filesz === 0 || ph.offset + ph.filesz <= size) continue;
    const kind =
      ph.type === PT_LOAD ? 'PT_LOAD' : ph.type === PT_NOTE ? 'PT_NOTE' : `segment of type ${ph.type}`;
    throw new KdumpError(
      'truncated',
      `${path}: program header ${i} (${kind}) covers file offsets ${ph.offset} to ${ph.offset + ph.filesz}, but the file ends at ${size}`,
      {
        fix: 'The file is truncated: copy it again from where it was taken.',
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
