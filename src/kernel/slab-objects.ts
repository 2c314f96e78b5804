import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { type ListDamage, walkList } from './list.ts';
import { isMissing } from './memory.ts';
import type { KernelObject } from './object.ts';
import { freeObjects, nodesOf, type Slab, type SlabCache, sheavesOf, slabAt } from './slab.ts';

/** Slabs that a CPU allocates from without a lock (until 7.0; sheaves took their place). */
export type CpuSlabs = {
  readonly cpu: number;
  /** Its struct kmem_cache_cpu. */
  readonly object: KernelObject;
  readonly current: Slab | undefined;
  readonly partial: readonly Slab[];
};

/** What a memory node keeps of a cache. */
export type NodeSlabs = {
  /** Its struct kmem_cache_node. */
  readonly object: KernelObject;
  readonly partial: readonly Slab[];
  readonly damage: ListDamage | undefined;
};

const mostPartial = 0xffff;

export function* cpuSlabs(kernel: Kernel, cache: SlabCache): Generator<CpuSlabs> {
  const pointer = known(cache.object.find('cpu_slab')?.integer());
  for (const cpu of pointer ? kernel.core.cpus('possible') : []) {
    const address = kernel.core.perCpuAddress(pointer!, cpu);
    if (typeof address !== 'bigint') continue;
    const object = kernel.object('kmem_cache_cpu', address);
    const current = known(object.find('slab', 'page')?.integer());
    yield {
      cpu,
      object,
      current: current ? slabAt(kernel, current) : undefined,
      partial: partialOf(kernel, known(object.find('partial')?.integer()) ?? 0n),
    };
  }
}

function partialOf(kernel: Kernel, first: bigint): Slab[] {
  const slabs = new Map<bigint, Slab>();
  for (let at = first; at !== 0n && slabs.size < mostPartial && !slabs.has(at); ) {
    const slab = slabAt(kernel, at);
    if (slab === undefined) break;
    slabs.set(at, slab);
    at = known(descriptorOf(kernel, at).member('next').integer()) ?? 0n;
  }
  return [...slabs.values()];
}

export function nodeSlabs(kernel: Kernel, cache: SlabCache): NodeSlabs[] {
  const link = descriptorOf(kernel, 0n).find('slab_list', 'lru');
  return nodesOf(kernel, cache).map((object) => {
    const list = object.find('partial');
    if (list === undefined || link === undefined) return { object, partial: [], damage: undefined };
    const { entries, damage } = walkList(kernel.core.memory, list.address);
    const partial = entries.flatMap((entry) => slabAt(kernel, entry - link.address) ?? []);
    return { object, partial, damage };
  });
}

const descriptorOf = (kernel: Kernel, address: bigint): KernelObject =>
  kernel.object(kernel.type('struct slab') ?? 'page', address);

/** Number of the memory node of a slab: the topmost bits of its page's flags, as many as node numbers need. */
export function nodeOf(kernel: Kernel, { descriptor, cache }: Slab): number {
  const flags = known(kernel.object('page', descriptor).find('flags.f', 'flags')?.integer()) ?? 0n;
  const nodes = (cache.object.find('per_node') ?? cache.object.find('node'))?.type.bare.length ?? 1;
  const bits = Math.ceil(Math.log2(Math.max(1, nodes)));
  return Number(BigInt.asUintN(64, flags) >> BigInt(64 - bits));
}

/** Objects of a cache that are free for one CPU or node alone: by their addresses, whose they are ('cpu 0 cache'). */
export function keptFree(kernel: Kernel, cache: SlabCache): Map<bigint, string> {
  const kept = new Map<bigint, string>();
  for (const { cpu, object, current } of cpuSlabs(kernel, cache)) {
    // What others freed in a slab that is a CPU's is on the slab's own list until that CPU takes it.
    const lists = [object, ...(current === undefined ? [] : [descriptorOf(kernel, current.descriptor)])];
    for (const list of lists) {
      const first = known(list.member('freelist').integer()) ?? 0n;
      for (const each of freeObjects(kernel, cache, first)) kept.set(each, `cpu ${cpu} cache`);
    }
  }
  for (const { cpu, sheaf } of sheavesOf(kernel, cache)) {
    const count = Math.min(known(sheaf.find('size')?.number()) ?? 0, 0xffff);
    const array = sheaf.find('objects');
    for (let i = 0; array !== undefined && i < count; i++) {
      const element = array.at(i);
      const each = isMissing(element) ? undefined : known(element.integer());
      if (each) kept.set(each, cpu === undefined ? 'barn' : `cpu ${cpu} sheaf`);
    }
  }
  return kept;
}

/** An object of a slab: allocated, or free and on which list. */
export type SlabObjectState = {
  readonly address: bigint;
  readonly free: boolean;
  /** Who keeps it, when it is free, but not for all. */
  readonly keptBy: string | undefined;
};

/**
 * The objects of a slab in the order of their addresses. A list of free ones that leads out of the slab is followed to
 * there, and `damaged`.
 */
export function slabObjects(
  kernel: Kernel,
  slab: Slab,
  kept: ReadonlyMap<bigint, string>,
): { readonly objects: readonly SlabObjectState[]; readonly damaged: boolean } {
  const { cache, start, objects: count, descriptor } = slab;
  const stride = BigInt(cache.stride);
  const addresses = Array.from({ length: count }, (_, i) => start + BigInt(i) * stride);
  const own = new Set(addresses);
  const free = new Set<bigint>();
  const first = known(descriptorOf(kernel, descriptor).find('freelist')?.integer()) ?? 0n;
  let damaged = false;
  for (const each of freeObjects(kernel, cache, first)) {
    damaged = !own.has(each) || free.has(each);
    if (damaged) break;
    free.add(each);
  }
  const objects = addresses.map((address) => ({
    address,
    free: free.has(address) || kept.has(address),
    keptBy: kept.get(address),
  }));
  return { objects, damaged };
}
