import type { SlabObject } from '../../kernel/memory-map.ts';
import { directMapStart, physicalOfPage } from '../../kernel/page-of.ts';
import { orderOf, type Slab, type SlabCache, slabCaches, slabCounts } from '../../kernel/slab.ts';
import { keptFree, nodeOf, type SlabObjectState, slabObjects } from '../../kernel/slab-objects.ts';
import { parseAddress, usageError } from '../arguments.ts';
import { damageText } from '../damage.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';

export const cacheHeader = 'CACHE             OBJSIZE  ALLOCATED     TOTAL  SLABS  SSIZE  NAME';

/** kmem -s: all slab caches, or those that are named, by name or address; or the object at an address. */
export function* slabLines(session: Session, words: readonly string[]): Generator<string> {
  const { caches, objects } = wantedCaches(session, words);
  for (const object of objects) yield* slabObjectLines(session, object);
  if (caches.length > 0) yield cacheHeader;
  for (const cache of caches) yield cacheLine(session.kernel, cache);
  yield* listDamage(session);
}

/** What is wrong with the list of all caches. */
export function* listDamage({ kernel }: Session): Generator<string> {
  const { damage } = slabCaches(kernel);
  if (damage !== undefined) yield damageText('kmem', 'the list of caches', damage);
}

/** Caches that are named by name or address, or all of them; what is another address must be that of an object. */
export function wantedCaches(
  session: Session,
  words: readonly string[],
): { readonly caches: readonly SlabCache[]; readonly objects: readonly SlabObject[] } {
  const { caches } = slabCaches(session.kernel);
  if (words.length === 0) return { caches, objects: [] };
  const isNamed = ({ name, object }: SlabCache, word: string): boolean =>
    name === word || parseAddress(word) === object.address;
  const others = words.filter((word) => !caches.some((cache) => isNamed(cache, word)));
  const objects = others.map((word) => {
    const address = parseAddress(word);
    const object = address === undefined ? undefined : session.kernel.memoryMap.objectAt(address);
    if (object === undefined)
      throw usageError(`kmem: ${word} is neither the name of a slab cache nor an address in one`);
    return object;
  });
  return { caches: caches.filter((cache) => words.some((word) => isNamed(cache, word))), objects };
}

export function cacheLine(kernel: Session['kernel'], cache: SlabCache): string {
  const { slabs, total, allocated } = slabCounts(kernel, cache);
  const columns = [
    hex(cache.object.address),
    String(cache.objectSize).padStart(9),
    String(allocated).padStart(11),
    String(total).padStart(10),
    String(slabs).padStart(7),
    `${orderOf(cache).pages * 4}k`.padStart(7),
  ];
  return `${columns.join('')}  ${cache.name}`;
}

/** What kmem ADDRESS says of an object of a slab: its cache, its slab, itself. */
export function* slabObjectLines({ kernel }: Session, { slab, address }: SlabObject): Generator<string> {
  yield cacheHeader;
  yield cacheLine(kernel, slab.cache);
  yield* slabContents(kernel, slab, keptFree(kernel, slab.cache), (each) => each.address === address);
}

/** The slab that is at the page of a struct page, which need not be the first one of the slab. */
export function slabOfPage(kernel: Session['kernel'], page: bigint): Slab | undefined {
  const physical = physicalOfPage(kernel, page);
  return physical === undefined
    ? undefined
    : kernel.memoryMap.objectAt(directMapStart(kernel) + physical)?.slab;
}

/** A slab with all its objects, below the line of its cache. */
export function* slabLinesOf(kernel: Session['kernel'], slab: Slab): Generator<string> {
  yield cacheHeader;
  yield cacheLine(kernel, slab.cache);
  yield* slabContents(kernel, slab, keptFree(kernel, slab.cache));
  yield '';
}

/** A slab, and its objects: in brackets those that are allocated. */
export function* slabContents(
  kernel: Session['kernel'],
  slab: Slab,
  kept: ReadonlyMap<bigint, string>,
  isWanted: (object: SlabObjectState) => boolean = () => true,
): Generator<string> {
  const { objects, damaged } = slabObjects(kernel, slab, kept);
  // Objects that somebody keeps are in use to their slab; of a damaged list its own count is what there is.
  const inUse = damaged ? slab.inUse : objects.filter(({ free }) => !free).length;
  const counts = `${String(slab.objects).padStart(6)} ${String(inUse).padStart(10)} ${String(slab.objects - inUse).padStart(5)}`;
  yield `  ${'SLAB'.padEnd(18)}${'MEMORY'.padEnd(18)}NODE  TOTAL  ALLOCATED  FREE`;
  yield `  ${hex(slab.descriptor)}  ${hex(slab.start)}  ${String(nodeOf(kernel, slab)).padStart(4)} ${counts}`;
  yield '  FREE / [ALLOCATED]';
  for (const { address, free, keptBy } of objects.filter(isWanted))
    yield free
      ? `   ${hex(address)}  ${keptBy === undefined ? '' : `(${keptBy})`}`.trimEnd()
      : `  [${hex(address)}]`;
  if (damaged) yield '  kmem: the list of free objects leads out of this slab: more of them may be free';
}
