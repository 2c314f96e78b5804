import { known } from './core.ts';
import type { CType } from './ctype.ts';
import type { Kernel } from './kernel.ts';
import { type ListDamage, walkList } from './list.ts';
import { isMissing } from './memory.ts';
import type { KernelObject } from './object.ts';
import { directMapStart, physicalOfPage } from './page-of.ts';

/** A slab cache as the kernel describes it. */
export type SlabCache = {
  readonly name: string;
  readonly object: KernelObject;
  /** Bytes of an object, and from one to the next. */
  readonly objectSize: number;
  readonly stride: number;
};

/** A slab: pages of a cache that hold its objects. */
export type Slab = {
  readonly cache: SlabCache;
  /** Address of its descriptor (struct slab; struct page before 5.17). */
  readonly descriptor: bigint;
  /** Address of its first object. */
  readonly start: bigint;
  readonly objects: number;
  readonly inUse: number;
};

const highestOrder = 12;

/** All slab caches, the last one first; a list that is damaged gives what can be reached. */
export function slabCaches(kernel: Kernel): {
  readonly caches: readonly SlabCache[];
  readonly damage: ListDamage | undefined;
} {
  const head = kernel.core.address('slab_caches');
  if (head === undefined) return { caches: [], damage: undefined };
  const { entries, damage } = kernel.listEntries(head, 'kmem_cache', 'list');
  return { caches: entries.map((object) => cacheAt(kernel, object)), damage };
}

function cacheAt(kernel: Kernel, object: KernelObject): SlabCache {
  const name = object.member('name').text();
  return {
    name: isMissing(name) ? `<${name.missing}>` : name,
    object: kernel.object(object.type, object.address),
    objectSize: known(object.member('object_size').number()) ?? 0,
    stride: known(object.member('size').number()) ?? 0,
  };
}

/** A type of its own since 5.17. */
const slabType = ({ core }: Kernel): CType | string => core.type('struct slab') ?? 'page';

/** A slab by the address of its descriptor; undefined when it cannot be read. */
export function slabAt(kernel: Kernel, descriptor: bigint): Slab | undefined {
  const object = kernel.object(slabType(kernel), descriptor);
  const cacheAddress = known(object.find('slab_cache')?.integer());
  const counters = known(object.find('objects')?.integer());
  const inUse = known(object.find('inuse')?.integer());
  const physical = physicalOfPage(kernel, descriptor);
  if (!cacheAddress || counters === undefined || inUse === undefined || physical === undefined)
    return undefined;
  const cache = cacheAt(kernel, kernel.object('kmem_cache', cacheAddress));
  const padding = known(cache.object.find('red_left_pad')?.integer()) ?? 0n;
  return {
    cache,
    descriptor,
    start: directMapStart(kernel) + physical + padding,
    objects: Number(counters),
    inUse: Number(inUse),
  };
}

/** Pages of a slab of a cache, and how many objects fit into it: both are in one word. */
export function orderOf(cache: SlabCache): { readonly pages: number; readonly objects: number } {
  const word = known(cache.object.member('oo.x').number()) ?? 0;
  return { pages: 1 << Math.min(word >>> 16, highestOrder), objects: word & 0xffff };
}

export type SlabCounts = {
  readonly slabs: number;
  readonly total: number;
  readonly allocated: number;
};

/** How much of a cache there is, and in use: what is free is on its slabs' own lists and those of the CPUs. */
export function slabCounts(kernel: Kernel, cache: SlabCache): SlabCounts {
  const { core } = kernel;
  let slabs = 0;
  let total = 0;
  let free = 0;
  for (const node of nodesOf(kernel, cache)) {
    slabs += known(node.find('nr_slabs.counter')?.number()) ?? 0;
    total += known(node.find('total_objects.counter')?.number()) ?? 0;
    const list = node.find('partial');
    const link = kernel.object(slabType(kernel), 0n).find('slab_list', 'lru');
    if (list === undefined || link === undefined) continue;
    for (const entry of walkList(core.memory, list.address).entries) {
      const slab = slabAt(kernel, entry - link.address);
      free += slab === undefined ? 0 : slab.objects - slab.inUse;
    }
  }
  const perCpu = known(cache.object.find('cpu_slab')?.integer());
  for (const cpu of perCpu ? core.cpus('possible') : []) {
    const address = core.perCpuAddress(perCpu!, cpu);
    if (typeof address !== 'bigint') continue;
    const own = kernel.object('kmem_cache_cpu', address);
    const current = known(own.find('slab', 'page')?.integer());
    const slab = current ? slabAt(kernel, current) : undefined;
    if (slab !== undefined) free += slab.objects - slab.inUse + freeOfCpu(kernel, cache, own);
    free += partialOfCpu(kernel, known(own.find('partial')?.integer()) ?? 0n);
  }
  return { slabs, total, allocated: total - free - freeInSheaves(kernel, cache) };
}

/** struct kmem_cache_node of each memory node. */
export function nodesOf(kernel: Kernel, cache: SlabCache): KernelObject[] {
  return pointersByNode(kernel, cache, 'node').map((address) => kernel.object('kmem_cache_node', address));
}

/** What a cache keeps for each memory node: pointers in an array of their own, since 7.1 several of them together. */
function pointersByNode(kernel: Kernel, cache: SlabCache, member: 'node' | 'barn'): bigint[] {
  const array = cache.object.find('per_node') ?? cache.object.find(member);
  const possible = known(kernel.core.global('nr_node_ids', 'int')?.number()) ?? 1;
  const count = array === undefined ? 0 : Math.min(array.type.bare.length || 1, possible);
  return Array.from({ length: count }, (_, i) => known(array!.at(i))).flatMap((entry) => {
    const pointer = entry?.type.bare.kind === 'pointer' ? entry : entry?.find(member);
    return known(pointer?.integer()) || [];
  });
}

/** Objects that wait in sheaves: to slabs they are in use. */
function freeInSheaves(kernel: Kernel, cache: SlabCache): number {
  let free = 0;
  for (const { sheaf } of sheavesOf(kernel, cache)) free += known(sheaf.find('size')?.number()) ?? 0;
  return free;
}

/** Arrays of free objects (since 6.18): each CPU's own, by its number, and full ones in the barns of nodes. */
export function* sheavesOf(
  kernel: Kernel,
  cache: SlabCache,
): Generator<{ readonly cpu: number | undefined; readonly sheaf: KernelObject }> {
  const { core } = kernel;
  const perCpu = known(cache.object.find('cpu_sheaves')?.integer());
  if (!perCpu) return;
  for (const cpu of core.cpus('possible')) {
    const address = core.perCpuAddress(perCpu, cpu);
    if (typeof address !== 'bigint') continue;
    const own = kernel.object('slub_percpu_sheaves', address);
    for (const which of ['main', 'spare', 'rcu_free']) {
      const sheaf = known(own.find(which)?.deref());
      if (sheaf !== undefined) yield { cpu, sheaf };
    }
  }
  const inNodes = nodesOf(kernel, cache).map((node) => known(node.find('barn')?.integer()));
  for (const barn of [...pointersByNode(kernel, cache, 'barn'), ...inNodes]) {
    if (!barn || core.type('node_barn') === undefined) continue;
    const full = kernel.object('node_barn', barn).find('sheaves_full');
    if (full === undefined) continue;
    for (const sheaf of kernel.listEntries(full.address, 'slab_sheaf', 'barn_list').entries)
      yield { cpu: undefined, sheaf };
  }
}

/** Objects on the CPU's own list of its slab: counted as in use there, while they are free. */
const freeOfCpu = (kernel: Kernel, cache: SlabCache, own: KernelObject): number =>
  [...freeObjects(kernel, cache, known(own.member('freelist').integer()) ?? 0n)].length;

/** Free objects that are linked through themselves, from the first on, as far as they can be read; 65,535 at most. */
export function* freeObjects(kernel: Kernel, cache: SlabCache, first: bigint): Generator<bigint> {
  const secret = known(cache.object.find('random')?.integer());
  const offset = BigInt(known(cache.object.member('offset').number()) ?? 0);
  for (let at = first, count = 0; at !== 0n && count < 0xffff; count++) {
    const place = at + offset;
    const word = known(kernel.core.u64(place));
    if (word === undefined) return;
    yield at;
    // CONFIG_SLAB_FREELIST_HARDENED hides the links.
    at = secret === undefined ? word : word ^ secret ^ swapped(place);
  }
}

function partialOfCpu(kernel: Kernel, first: bigint): number {
  let free = 0;
  let at = first;
  for (let count = 0; at !== 0n && count < 0xffff; count++) {
    const slab = slabAt(kernel, at);
    if (slab === undefined) break;
    free += slab.objects - slab.inUse;
    at = known(kernel.object(slabType(kernel), at).member('next').integer()) ?? 0n;
  }
  return free;
}

function swapped(word: bigint): bigint {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(word);
  return bytes.readBigUInt64LE(0);
}
