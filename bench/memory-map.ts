// Page descriptors (struct page) of machines that never ran, as Linux 6.12 lays them out: pageblocks of 2 MiB, each
// used for one purpose or for several. Written with typed arrays: some ten million descriptors a second.
import { PG, type612 } from '../test/helpers/vmcore.ts';

/** sizeof(struct page), bytes. */
export const descriptorBytes = 64;
/** Pages of a memory section of 128 MiB; their descriptors fill 2 MiB. */
export const sectionPages = 32768;
export const pageblockPages = 512;
const words = descriptorBytes / 4;

/** Start of the virtual array of all descriptors, by halves; the low half is zero. */
const vmemmapHigh = 0xffff_ea00;
export const vmemmap = BigInt(vmemmapHigh) << 32n;

// Offsets in words.
const FLAGS = 0;
/** lru.next; compound_head in tail pages. */
const NEXT = 2;
const PREVIOUS = 4;
const MAPPING = 6;
const INDEX = 8;
const PRIVATE = 10;
/** _mapcount or the page's type. */
const TYPE = 12;
const REFCOUNT = 13;

/** Bits of flags that no VMCOREINFO exports. */
const REFERENCED = 1 << 2;
const UPTODATE = 1 << 3;
const ACTIVE = 1 << 8;
const RESERVED = 1 << 13;
const bit = (number: number): number => 1 << number;
const FILE = bit(PG.lru) | UPTODATE;
const ANON = bit(PG.lru) | bit(PG.swapbacked) | UPTODATE;
const HEAD = bit(PG.head);

/** PGTY_table << 24. */
const tableType = 0xf200_0000;

/** What pageblocks are used for. */
export const uses = ['free', 'huge', 'cache', 'mixed', 'kernel', 'reserved'] as const;
export type Use = (typeof uses)[number];
/** Parts of all pageblocks, in 1024. */
export type Shares = Readonly<Partial<Record<Use, number>>>;

/** Pages by what a dump level decides about them. */
export type Census = { free: number; cache: number; cachePrivate: number; user: number; kept: number };

/** Fills one section after the other; the same seed gives the same memory. */
export class MemoryMap {
  /** Descriptors of the section that was described last. */
  readonly section = new Uint32Array(sectionPages * words);
  readonly census: Census = { free: 0, cache: 0, cachePrivate: 0, user: 0, kept: 0 };
  readonly #shares: Shares;
  /** Whether pages larger than 4 KiB exist; their tails point to their head, so such a section is good in one place only. */
  readonly #compounds: boolean;
  #state: number;
  #firstPfn = 0;

  constructor(shares: Shares, compounds: boolean, seed: number) {
    this.#shares = shares;
    this.#compounds = compounds;
    this.#state = seed;
  }

  /**
   * Describes the pages of a section.
   * @param firstPfn a multiple of sectionPages
   * @param isReserved tells of the first pfn of a pageblock whether the kernel itself lies there
   */
  describe(firstPfn: number, isReserved: (pfn: number) => boolean): Uint32Array {
    this.#firstPfn = firstPfn;
    for (let block = 0; block < sectionPages; block += pageblockPages)
      this.#pageblock(block, isReserved(firstPfn + block) ? 'reserved' : this.#use());
    return this.section;
  }

  #use(): Use {
    let drawn = this.#random(1024);
    for (const use of uses) {
      drawn -= this.#shares[use] ?? 0;
      if (drawn < 0) return use;
    }
    return 'mixed';
  }

  #pageblock(start: number, use: Use): void {
    const end = start + pageblockPages;
    if (use === 'free') this.#free(start, 9);
    else if (use === 'reserved') this.#kernel(start, pageblockPages, RESERVED);
    else if (use === 'huge' && this.#compounds) this.#compound(start, 9, ANON, this.#anonMapping(), 'user');
    else if (use === 'huge') this.#anon(start, pageblockPages);
    else {
      for (let at = start; at < end; ) at += this.#piece(use, at, end - at);
    }
  }

  /** A few pages of a pageblock with several users. @returns how many. */
  #piece(use: Use, at: number, left: number): number {
    const run = Math.min(1 + this.#random(48), left);
    // The largest aligned power of two that fits here, and not always that.
    const largest = Math.min(31 - Math.clz32(at & -at || pageblockPages), 31 - Math.clz32(left));
    const order = Math.min(largest, this.#random(10));
    const draw = this.#random(16);
    if (use === 'kernel') {
      if (draw < 9) return this.#slab(at, Math.min(order, 3));
      if (draw < 11) return this.#kernel(at, run, 0);
      if (draw < 13) return this.#kernel(at, run, 0, tableType);
      return this.#free(at, Math.min(order, 4));
    }
    if (use === 'cache') {
      if (draw < 4 && order >= 2 && this.#compounds)
        return this.#compound(at, order, FILE | REFERENCED, this.#pointer(), 'cache');
      if (draw < 15) return this.#file(at, run, draw === 0);
      return this.#free(at, Math.min(order, 5));
    }
    if (draw < 5) return this.#file(at, Math.min(run, 8), draw === 0);
    if (draw < 12) return this.#anon(at, run);
    return this.#free(at, order);
  }

  /** A block of the buddy allocator: its first descriptor says so, the others keep what they had. */
  #free(at: number, order: number): number {
    const pages = 2 ** order;
    for (let i = 0; i < pages; i++) this.#page(at + i, 0, type612.none, 0);
    const word = at * words;
    this.section[word + PRIVATE] = order;
    this.section[word + TYPE] = type612.buddy;
    this.#links(word);
    this.census.free += pages;
    return pages;
  }

  #file(at: number, pages: number, hasPrivate: boolean): number {
    const [high, low] = this.#pointer();
    const index = this.#random(1 << 20);
    for (let i = 0; i < pages; i++) {
      const word = this.#page(at + i, FILE | (this.#random(4) === 0 ? ACTIVE : 0), type612.none, 1);
      this.#links(word);
      this.section[word + MAPPING] = low;
      this.section[word + MAPPING + 1] = high;
      this.section[word + INDEX] = index + i;
      if (hasPrivate) {
        this.section[word + FLAGS]! |= bit(PG.private);
        const [bufferHigh, bufferLow] = this.#pointer();
        this.section[word + PRIVATE] = bufferLow;
        this.section[word + PRIVATE + 1] = bufferHigh;
        this.section[word + REFCOUNT] = 2;
      }
    }
    this.census[hasPrivate ? 'cachePrivate' : 'cache'] += pages;
    return pages;
  }

  #anon(at: number, pages: number): number {
    const [high, low] = this.#anonMapping();
    const index = this.#random(1 << 24);
    for (let i = 0; i < pages; i++) {
      // Mapped once: _mapcount counts from -1.
      const word = this.#page(at + i, ANON | (this.#random(2) === 0 ? ACTIVE : 0), 0, 1);
      this.#links(word);
      this.section[word + MAPPING] = low;
      this.section[word + MAPPING + 1] = high;
      this.section[word + INDEX] = index + i;
    }
    this.census.user += pages;
    return pages;
  }

  #slab(at: number, order: number): number {
    if (!this.#compounds || order === 0) {
      const word = this.#page(at, 0, type612.slab, 1);
      this.#links(word);
      this.census.kept += 1;
      return 1;
    }
    const pages = this.#compound(at, order, 0, [0, 0], 'kept');
    this.section[at * words + TYPE] = type612.slab;
    return pages;
  }

  #kernel(at: number, pages: number, flags: number, type: number = type612.none): number {
    for (let i = 0; i < pages; i++) this.#page(at + i, flags, type, 1);
    this.census.kept += pages;
    return pages;
  }

  /** A page of 2^order frames: head, first tail with the order in its flags, tails that point to the head. */
  #compound(
    at: number,
    order: number,
    flags: number,
    mapping: readonly [number, number],
    counts: keyof Census,
  ): number {
    const pages = 2 ** order;
    const head = this.#page(at, flags | HEAD, type612.none, 1);
    this.#links(head);
    this.section[head + MAPPING] = mapping[1];
    this.section[head + MAPPING + 1] = mapping[0];
    const pfn = this.#firstPfn + at;
    for (let i = 1; i < pages; i++) {
      const word = this.#page(at + i, i === 1 ? order : 0, type612.none, 0);
      this.section[word + NEXT] = ((pfn * descriptorBytes) >>> 0) + 1;
      this.section[word + NEXT + 1] = vmemmapHigh + Math.floor((pfn * descriptorBytes) / 2 ** 32);
      // TAIL_MAPPING
      this.section[word + MAPPING] = 0x400;
      this.section[word + MAPPING + 1] = 0xdead_0000;
    }
    this.census[counts] += pages;
    return pages;
  }

  /** @returns the word at which the descriptor begins. */
  #page(at: number, flags: number, type: number, references: number): number {
    const word = at * words;
    this.section.fill(0, word, word + words);
    // Node 0, zone Normal, no cpupid, in the upper bits as kernels print them.
    this.section[word + FLAGS] = 0xc000_0000 | flags;
    this.section[word + FLAGS + 1] = 0x0017_ffff;
    this.section[word + TYPE] = type;
    this.section[word + REFCOUNT] = references;
    return word;
  }

  /** Neighbours in a list of pages: any two of this section. */
  #links(word: number): void {
    const near = (this.#firstPfn + this.#random(sectionPages)) * descriptorBytes;
    const far = (this.#firstPfn + this.#random(sectionPages)) * descriptorBytes;
    this.section[word + NEXT] = (near >>> 0) + 8;
    this.section[word + NEXT + 1] = vmemmapHigh + Math.floor(near / 2 ** 32);
    this.section[word + PREVIOUS] = (far >>> 0) + 8;
    this.section[word + PREVIOUS + 1] = vmemmapHigh + Math.floor(far / 2 ** 32);
  }

  /** An address of the direct mapping, high half first. */
  #pointer(): [number, number] {
    return [0xffff_8881 + this.#random(4), this.#random(1 << 26) * 64];
  }

  #anonMapping(): [number, number] {
    const [high, low] = this.#pointer();
    return [high, low | 1];
  }

  /** xorshift32; `below` is small against 2^32. */
  #random(below: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 0) % below;
  }
}
