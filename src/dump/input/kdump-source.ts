import { NT_PRSTATUS, readNotes } from '../../formats/elf.ts';
import { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import type { Architecture } from '../../kernel/arch.ts';
import { architectureNamed } from '../../kernel/architectures.ts';
import { type Missing, type MissingReason, missing } from '../../kernel/memory.ts';
import { decodeUtsname } from '../../kernel/utsname.ts';
import type { PageBitmap } from '../../lib/bitmap.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { ByteSource } from './bytes.ts';
import { type KdumpNotes, readKdumpNotes } from './kdump-notes.ts';
import { KdumpPart, reader } from './kdump-part.ts';
import { allocate, codecOf, type Memory, pageDecoder } from './page-decoder.ts';
import type { DumpSource, MadeDump, PageReader } from './source.ts';
import { orderParts } from './split-set.ts';
import { forJumps, forWalk, type ReadAhead, StoredPages } from './stored-pages.ts';

/** Decoded pages that are kept for those who read here and there: page tables, struct pages, the log. */
const pagesKept = 64;
const maxBytesKept = 2 ** 20;

/** A kdump-compressed dump: one file, or the parts of a split set. Costs a few MiB whatever the size of the machine. */
export class KdumpSource implements DumpSource {
  readonly path: string;
  readonly arch: Architecture | undefined;
  readonly notes: Uint8Array;
  readonly vmcoreinfo: Vmcoreinfo | undefined;
  readonly vmcoreinfoOffset: number;
  readonly vmcoreinfoSize: number;
  readonly cpuCount: number;
  readonly segments = [];
  readonly made: MadeDump;
  /** In the order of their page frames. */
  readonly parts: readonly KdumpPart[];
  /** Bytes. */
  readonly blockSize: number;
  readonly #maxMapnr: number;
  #kept: KeptPages | undefined;

  /**
   * Reads the headers.
   * @param files the parts of a split set in any order, or the one file of a whole dump; they stay open after an error
   * @param partial takes a split set that is not whole: pages of parts that are not there are truncated
   * @throws KdumpError for what is no kdump-compressed file, ends within its headers, or is not the whole set
   */
  constructor(files: readonly ByteSource[], partial = false) {
    this.parts = orderParts(
      files.map((file) => new KdumpPart(file)),
      partial,
    );
    const { file, header } = this.parts[0]!;
    this.path = this.parts.map((part) => part.file.path).join(', ');
    this.blockSize = header.blockSize;
    this.#maxMapnr = header.maxMapnr;
    this.arch = architectureNamed(decodeUtsname(header.utsname).machine);
    const notes: KdumpNotes = readKdumpNotes(header, reader(file));
    this.notes = notes.bytes;
    this.vmcoreinfoOffset = notes.vmcoreinfoOffset;
    this.vmcoreinfoSize = notes.vmcoreinfoSize;
    const { vmcoreinfoOffset: at, vmcoreinfoSize: size } = notes;
    this.vmcoreinfo = size > 0 ? Vmcoreinfo.fromBytes(notes.bytes.subarray(at, at + size)) : undefined;
    this.cpuCount = readNotes(this.notes).filter((n) => n.type === NT_PRSTATUS && n.name === 'CORE').length;
    this.made = {
      dumpLevel: header.dumpLevel,
      blockSize: header.blockSize,
      physBase: header.physBase,
      crashTime: header.crashTime,
      status: this.parts.reduce((bits, part) => bits | part.header.status, 0),
      utsname: header.utsname,
      cpuCount: header.nrCpus,
      eraseinfo: readEraseinfo(this.parts),
    };
  }

  close(): void {
    for (const part of this.parts) part.file.close();
  }

  maxPfn(pageSize: number): number {
    this.#check(pageSize);
    return this.#maxMapnr;
  }

  markPresent(bitmap: PageBitmap, pageSize: number): void {
    this.#check(pageSize);
    this.parts[0]!.present.addTo(bitmap);
  }

  /** Pages that were filtered out. Those that a truncated file has lost are met when they are read. */
  clearMissing(bitmap: PageBitmap, pageSize: number): void {
    this.#check(pageSize);
    this.parts[0]!.stored.keepIn(bitmap);
  }

  pages(pageSize: number): PageReader {
    this.#check(pageSize);
    return new KdumpPages(this.parts, forWalk);
  }

  /** The pages as they are stored, for those who do not want them decompressed. */
  storedPages(): StoredPages {
    return new StoredPages(this.parts, forWalk);
  }

  readInto(paddr: number, target: Uint8Array): Missing | undefined {
    this.#kept ??= new KeptPages(new KdumpPages(this.parts, forJumps), this.blockSize);
    const size = this.blockSize;
    for (let done = 0; done < target.length; ) {
      const from = paddr + done;
      const inside = from % size;
      const length = Math.min(target.length - done, size - inside);
      const at = this.#kept.find((from - inside) / size);
      if (typeof at === 'string') return missing(at, from);
      target.set(this.#kept.bytes.subarray(at + inside, at + inside + length), done);
      done += length;
    }
    return undefined;
  }

  /** The pages of a dump are those that its writer took them for. */
  #check(pageSize: number): void {
    if (pageSize !== this.blockSize) {
      throw new KdumpError(
        'page-size',
        `${this.path}: block_size is ${this.blockSize} and the kernel's pages have ${pageSize} bytes; one of them is damaged`,
      );
    }
  }
}

/** Pages of a dump, decompressed, in ascending order or any other. */
export class KdumpPages implements PageReader {
  bytes: Buffer;
  address: number;
  at = 0;
  readonly #stored: StoredPages;
  readonly #page: Memory;
  readonly #pageSize: number;

  /** @param parts in the order of their page frames */
  constructor(parts: readonly KdumpPart[], ahead: ReadAhead) {
    this.#pageSize = parts[0]!.header.blockSize;
    this.#stored = new StoredPages(parts, ahead);
    this.#page = allocate(this.#pageSize);
    this.bytes = this.#page.bytes;
    this.address = this.#page.address;
  }

  /** @throws KdumpError `no-codec` when the library for a page is not installed */
  load(pfn: number): MissingReason | undefined {
    const missing = this.#stored.find(pfn);
    if (missing !== undefined) return missing;
    return this.#stored.fetch() && this.#decode() ? undefined : 'truncated';
  }

  #decode(): boolean {
    const { flags, size, memory, at } = this.#stored;
    const codec = codecOf(flags);
    if (codec === undefined) return false;
    if (codec === 'none') {
      this.bytes = memory.bytes;
      this.address = memory.address;
      this.at = at;
      return size === this.#pageSize;
    }
    this.bytes = this.#page.bytes;
    this.address = this.#page.address;
    this.at = 0;
    return pageDecoder(codec)(memory, at, size, this.#page, 0, this.#pageSize);
  }
}

/** Copies of the pages that were used last. */
class KeptPages {
  readonly bytes: Buffer;
  readonly #reader: PageReader;
  readonly #pageSize: number;
  readonly #places: number;
  /** Place of each page in `bytes`, the one that was not used for the longest time first. */
  readonly #held = new Map<number, number>();
  #last = -1;
  #lastAt = 0;

  constructor(pages: PageReader, pageSize: number) {
    this.#reader = pages;
    this.#pageSize = pageSize;
    this.#places = Math.max(2, Math.min(pagesKept, maxBytesKept / pageSize));
    this.bytes = Buffer.alloc(this.#places * pageSize);
  }

  /** @returns where the page begins in `bytes`, good until the next call, or why it cannot be had */
  find(pfn: number): number | MissingReason {
    // Most of what is read lies in the page that was read last, which is the youngest already.
    if (pfn === this.#last) return this.#lastAt;
    let at = this.#held.get(pfn);
    if (at === undefined) {
      const failed = this.#reader.load(pfn);
      if (failed !== undefined) return failed;
      at = this.#freePlace();
      this.#reader.bytes.copy(this.bytes, at, this.#reader.at, this.#reader.at + this.#pageSize);
    } else {
      this.#held.delete(pfn);
    }
    this.#held.set(pfn, at);
    this.#last = pfn;
    this.#lastAt = at;
    return at;
  }

  #freePlace(): number {
    if (this.#held.size < this.#places) return this.#held.size * this.#pageSize;
    const [oldest, at] = this.#held.entries().next().value!;
    this.#held.delete(oldest);
    return at;
  }
}

/** Texts of the erase filters of all parts, one after the other; more than this was never written. */
const maxEraseinfo = 2 ** 24;

function readEraseinfo(parts: readonly KdumpPart[]): Uint8Array {
  const texts = parts.map(({ header: { eraseinfo }, file }) =>
    eraseinfo.size > maxEraseinfo ? new Uint8Array(0) : reader(file)(eraseinfo.offset, eraseinfo.size),
  );
  return Buffer.concat(texts);
}
