import { known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { walkList } from '../../kernel/list.ts';
import type { KernelObject } from '../../kernel/object.ts';
import { type Slab, type SlabCache, slabAt } from '../../kernel/slab.ts';
import { cpuSlabs, keptFree, type NodeSlabs, nodeSlabs } from '../../kernel/slab-objects.ts';
import { damageText } from '../damage.ts';
import type { Session } from '../session.ts';
import { hex, shown } from '../text.ts';
import { cacheHeader, cacheLine, listDamage, slabContents, slabLinesOf, wantedCaches } from './slabs.ts';

/** kmem -S: the slabs of caches with all their objects; of an address, its slab. Full slabs are on no list. */
export function* slabContentLines(session: Session, words: readonly string[]): Generator<string> {
  const { kernel } = session;
  const { caches, objects } = wantedCaches(session, words);
  for (const { slab } of objects) yield* slabLinesOf(kernel, slab);
  for (const cache of caches) {
    yield* contentsOf(kernel, cache);
    yield '';
  }
  yield* listDamage(session);
}

function* contentsOf(kernel: Kernel, cache: SlabCache): Generator<string> {
  const kept = keptFree(kernel, cache);
  yield cacheHeader;
  yield cacheLine(kernel, cache);
  let ofCpus = 0;
  for (const { cpu, object, current, partial } of cpuSlabs(kernel, cache)) {
    if (current !== undefined) ofCpus++;
    yield `CPU ${cpu} KMEM_CACHE_CPU:`;
    yield `  ${hex(object.address)}`;
    yield `CPU ${cpu} SLAB:`;
    yield* listed(kernel, current === undefined ? [] : [current], kept);
    yield `CPU ${cpu} PARTIAL:`;
    yield* listed(kernel, partial, kept);
  }
  const nodes = nodeSlabs(kernel, cache);
  for (const [number, node] of nodes.entries()) yield* nodeLines(kernel, cache, kept, number, node, ofCpus);
}

function* listed(
  kernel: Kernel,
  slabs: readonly Slab[],
  kept: ReadonlyMap<bigint, string>,
): Generator<string> {
  if (slabs.length === 0) yield '  (empty)';
  for (const slab of slabs) yield* slabContents(kernel, slab, kept);
}

function* nodeLines(
  kernel: Kernel,
  cache: SlabCache,
  kept: ReadonlyMap<bigint, string>,
  number: number,
  { object, partial, damage }: NodeSlabs,
  ofCpus: number,
): Generator<string> {
  const total = object.find('nr_slabs.counter')?.number();
  const counts = [
    total === undefined ? '?' : shown(total),
    shown(object.member('nr_partial').number()),
    String(ofCpus),
  ];
  yield 'KMEM_CACHE_NODE   NODE  SLABS  PARTIAL  PER-CPU';
  yield `${hex(object.address)}  ${String(number).padStart(4)}  ${counts[0]!.padStart(5)}  ${counts[1]!.padStart(7)}  ${counts[2]!.padStart(7)}`;
  yield `NODE ${number} PARTIAL:`;
  yield* listed(kernel, partial, kept);
  if (damage !== undefined) yield damageText('kmem', 'the list of partial slabs', damage);
  yield `NODE ${number} FULL:`;
  const full = isTracked(kernel, cache) ? object.find('full') : undefined;
  if (full === undefined) yield '  (not tracked)';
  else yield* listed(kernel, fullSlabs(kernel, full), kept);
}

/** Only caches that are debugged keep full slabs on a list (SLAB_STORE_USER). */
function isTracked(kernel: Kernel, cache: SlabCache): boolean {
  const bit = kernel.core.btf?.enumerator('_SLAB_STORE_USER') ?? 16n;
  return (((known(cache.object.member('flags').integer()) ?? 0n) >> bit) & 1n) !== 0n;
}

function fullSlabs(kernel: Kernel, list: KernelObject): Slab[] {
  const link = kernel.object(kernel.type('struct slab') ?? 'page', 0n).find('slab_list', 'lru');
  if (link === undefined) return [];
  return walkList(kernel.core.memory, list.address).entries.flatMap(
    (entry) => slabAt(kernel, entry - link.address) ?? [],
  );
}
