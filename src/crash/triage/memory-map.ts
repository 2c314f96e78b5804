import type { KernelCore } from '../../kernel/core.ts';
import { known } from '../../kernel/core.ts';
import { isMissing } from '../../kernel/memory.ts';
import { type PageLayout, pageLayout } from '../../kernel/page.ts';

/** An object in a slab. */
export type SlabObject = {
  readonly cache: string;
  /** Its first byte, and its bytes. */
  readonly address: bigint;
  readonly size: number;
};

export type PageKind = 'slab' | 'free' | 'anonymous' | 'file' | 'kernel';

/** A page of memory, by its own descriptor. */
export type PageInfo = {
  readonly pfn: number;
  readonly kind: PageKind;
  /** What of a slab it is. */
  readonly object: SlabObject | undefined;
};

type Slab = { readonly cache: string; readonly start: bigint; readonly size: number };

const pageBytes = 4096n;

/** What pages of memory are: page descriptors in an array at one place (SPARSEMEM_VMEMMAP), and slabs. */
export class MemoryMap {
  readonly #core: KernelCore;
  /** Where all memory is mapped in one piece; undefined when the kernel does not tell. */
  readonly #directMap: { readonly start: bigint; readonly end: bigint } | undefined;
  readonly #descriptors: bigint | undefined;
  readonly #layout: PageLayout | undefined;
  readonly #slabs = new Map<bigint, Slab | undefined>();

  constructor(core: KernelCore) {
    this.#core = core;
    const start = pointer(core, 'page_offset_base');
    const end = pointer(core, 'vmalloc_base');
    this.#directMap = start && end && start < end ? { start, end } : undefined;
    // A symbol whose value is exported, since 6.12.
    this.#descriptors = core.info.symbol('vmemmap') ?? pointer(core, 'vmemmap_base');
    this.#layout = layoutOf(core);
  }

  /** Whether an address is one of the direct map, where slabs and the pages of programs are reached. */
  isDirect(address: bigint): boolean {
    const map = this.#directMap;
    return map !== undefined && address >= map.start && address < map.end;
  }

  /** The page behind an address of the direct map; undefined when there is none or its descriptor cannot be read. */
  pageAt(address: bigint): PageInfo | undefined {
    const map = this.#directMap;
    const layout = this.#layout;
    if (map === undefined || layout === undefined || !this.isDirect(address)) return undefined;
    const pfn = (address - map.start) / pageBytes;
    const own = this.#descriptor(pfn);
    const head = own && this.#headOf(own.address, own.words, layout);
    if (own === undefined || head === undefined) return undefined;
    const page = { pfn: Number(pfn), object: undefined };
    const words = head.words;
    const mapcount = words[layout.mapcount]! | 0;
    const isOf = (type: number | undefined): boolean =>
      type !== undefined &&
      (mapcount === type || ((type & 0xff_ffff) === 0 && mapcount >>> 24 === type >>> 24));
    const flag = layout.slabFlag;
    if (isOf(layout.slabType) || (flag !== undefined && (words[flag.word]! & flag.mask) !== 0))
      return { ...page, kind: 'slab', object: this.#objectAt(address, head.address, map.start) };
    if (isOf(layout.buddyType)) return { ...page, kind: 'free' };
    const mapping = words[layout.mapping]!;
    const isMapped = mapping !== 0 || words[layout.mapping + 1] !== 0;
    if (!isMapped || mapcount < -1) return { ...page, kind: 'kernel' };
    return { ...page, kind: (mapping & 1) !== 0 ? 'anonymous' : 'file' };
  }

  /** The object of a slab that an address lies in. */
  objectAt(address: bigint): SlabObject | undefined {
    return this.pageAt(address)?.object;
  }

  #descriptor(pfn: bigint): { readonly address: bigint; readonly words: Uint32Array } | undefined {
    if (this.#descriptors === undefined) return undefined;
    return this.#read(this.#descriptors + pfn * BigInt(this.#layout!.words * 4));
  }

  #read(address: bigint): { readonly address: bigint; readonly words: Uint32Array } | undefined {
    const bytes = this.#core.memory.read(address, this.#layout!.words * 4);
    return isMissing(bytes) ? undefined : { address, words: new Uint32Array(bytes.buffer) };
  }

  /** A tail page leads to its head: by a pointer, or since 7.1 by a mask for its own address. */
  #headOf(address: bigint, words: Uint32Array, layout: PageLayout) {
    const link = (BigInt(words[layout.compoundHead + 1]!) << 32n) | BigInt(words[layout.compoundHead]!);
    if ((link & 1n) === 0n) return { address, words };
    const head = link >= firstMask ? address & (link - 1n) : link - 1n;
    return this.#read(head);
  }

  #objectAt(address: bigint, head: bigint, directMap: bigint): SlabObject | undefined {
    if (!this.#slabs.has(head)) this.#slabs.set(head, this.#slabOf(head, directMap));
    const slab = this.#slabs.get(head);
    if (slab === undefined) return undefined;
    const { cache, start, size } = slab;
    return { cache, size, address: start + ((address - start) / BigInt(size)) * BigInt(size) };
  }

  #slabOf(head: bigint, directMap: bigint): Slab | undefined {
    const core = this.#core;
    // A type of its own since 5.17.
    const object = core.object(core.type('slab') === undefined ? 'page' : 'slab', head);
    const cache = known(object.find('slab_cache')?.deref());
    const name = known(cache?.find('name')?.text());
    const size = known(cache?.find('size')?.number());
    if (name === undefined || !size) return undefined;
    const pfn = (head - this.#descriptors!) / BigInt(this.#layout!.words * 4);
    return { cache: name, size, start: directMap + pfn * pageBytes };
  }
}

/** Masks are ones but for a few bits at their end; no page descriptor lies that high. */
const firstMask = 0xffff_ffff_0000_0000n;

const pointer = (core: KernelCore, symbol: string): bigint | undefined => {
  const address = core.address(symbol);
  return address === undefined ? undefined : known(core.u64(address));
};

/** Undefined of a kernel that does not describe its pages. */
function layoutOf(core: KernelCore): PageLayout | undefined {
  try {
    return pageLayout(core.info);
  } catch {
    return undefined;
  }
}
