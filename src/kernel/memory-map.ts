import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { isMissing } from './memory.ts';
import { type PageLayout, pageLayout } from './page.ts';
import { headOf, pageOf } from './page-of.ts';
import { type Slab, slabAt } from './slab.ts';

/** An object in a slab. */
export type SlabObject = {
  /** Name of its cache. */
  readonly cache: string;
  /** Its first byte, and the bytes from one object to the next. */
  readonly address: bigint;
  readonly size: number;
  readonly slab: Slab;
};

export type PageKind = 'slab' | 'free' | 'anonymous' | 'file' | 'kernel';

/** A page of memory, by its own descriptor. */
export type PageInfo = {
  readonly pfn: number;
  readonly kind: PageKind;
  /** What of a slab it is. */
  readonly object: SlabObject | undefined;
};

const pageShift = 12n;

/** What pages of memory are: page descriptors in an array at one place (SPARSEMEM_VMEMMAP), and slabs. */
export class MemoryMap {
  readonly #kernel: Kernel;
  readonly #layout: PageLayout | undefined;
  /** By the address of their descriptors. */
  readonly #slabs = new Map<bigint, Slab | undefined>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#layout = layoutOf(kernel);
  }

  /** Whether an address is one of the direct map, where slabs and the pages of programs are reached. */
  isDirect(address: bigint): boolean {
    const { start, end } = this.#kernel.regions.directMap;
    return address >= start && address < end;
  }

  /** The page behind an address of the direct map; undefined when there is none or its descriptor cannot be read. */
  pageAt(address: bigint): PageInfo | undefined {
    const layout = this.#layout;
    if (layout === undefined || !this.isDirect(address)) return undefined;
    const physical = address - this.#kernel.regions.directMap.start;
    const own = pageOf(this.#kernel, Number(physical));
    const head = known(headOf(own));
    const words = head === undefined ? undefined : this.#words(head, layout);
    if (head === undefined || words === undefined) return undefined;
    const kind = kindOf(words, layout);
    const object = kind === 'slab' ? this.#objectAt(address, head) : undefined;
    return { pfn: Number(physical >> pageShift), kind, object };
  }

  /** The object of a slab that an address lies in. */
  objectAt(address: bigint): SlabObject | undefined {
    return this.pageAt(address)?.object;
  }

  #words(descriptor: bigint, layout: PageLayout): Uint32Array | undefined {
    const bytes = this.#kernel.core.memory.read(descriptor, layout.words * 4);
    return isMissing(bytes) ? undefined : new Uint32Array(bytes.buffer);
  }

  #objectAt(address: bigint, head: bigint): SlabObject | undefined {
    if (!this.#slabs.has(head)) this.#slabs.set(head, slabAt(this.#kernel, head));
    const slab = this.#slabs.get(head);
    if (slab === undefined || slab.cache.stride === 0 || address < slab.start) return undefined;
    const size = BigInt(slab.cache.stride);
    const index = (address - slab.start) / size;
    // Behind the last one there may be some bytes that are of no use.
    if (index >= BigInt(slab.objects)) return undefined;
    return { cache: slab.cache.name, address: slab.start + index * size, size: slab.cache.stride, slab };
  }
}

function kindOf(words: Uint32Array, layout: PageLayout): PageKind {
  const mapcount = words[layout.mapcount]! | 0;
  const isOf = (type: number | undefined): boolean =>
    type !== undefined &&
    (mapcount === type || ((type & 0xff_ffff) === 0 && mapcount >>> 24 === type >>> 24));
  const flag = layout.slabFlag;
  if (isOf(layout.slabType) || (flag !== undefined && (words[flag.word]! & flag.mask) !== 0)) return 'slab';
  if (isOf(layout.buddyType)) return 'free';
  const mapping = words[layout.mapping]!;
  const isMapped = mapping !== 0 || words[layout.mapping + 1] !== 0;
  if (!isMapped || mapcount < -1) return 'kernel';
  return (mapping & 1) !== 0 ? 'anonymous' : 'file';
}

/** Undefined of a kernel that does not describe its pages. */
function layoutOf({ core }: Kernel): PageLayout | undefined {
  if (core.type('page') === undefined) return undefined;
  try {
    return pageLayout(core.info);
  } catch {
    return undefined;
  }
}
