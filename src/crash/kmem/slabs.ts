import { isMissing } from '../../kernel/memory.ts';
import { headOf, pageOf } from '../../kernel/page-of.ts';
import { orderOf, type SlabCache, slabAt, slabCaches, slabCounts } from '../../kernel/slab.ts';
import { parseAddress, usageError } from '../arguments.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';

const header = 'CACHE             OBJSIZE  ALLOCATED     TOTAL  SLABS  SSIZE  NAME';

/** kmem -s: all slab caches, or those that are named, by name or address. */
export function* slabLines({ kernel }: Session, wanted: readonly string[]): Generator<string> {
  const { caches, damage } = slabCaches(kernel);
  const chosen = caches.filter(
    ({ name, object }) =>
      wanted.length === 0 || wanted.some((word) => word === name || parseAddress(word) === object.address),
  );
  if (chosen.length === 0 && wanted.length > 0)
    throw usageError(`kmem: no slab cache is called ${wanted.join(' or ')}`);
  yield header;
  for (const cache of chosen) yield cacheLine(kernel, cache);
  if (damage !== undefined)
    yield `kmem: the list of caches is damaged (${damage.reason}) at ${hex(damage.address)}`;
}

function cacheLine(kernel: Session['kernel'], cache: SlabCache): string {
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
export function* slabObjectLines(session: Session, address: bigint): Generator<string> {
  const { kernel } = session;
  const place = kernel.core.memory.translate(address);
  const head = isMissing(place) ? place : headOf(pageOf(kernel, place.paddr));
  const slab = isMissing(head) ? undefined : slabAt(kernel, head);
  if (slab === undefined || slab.cache.stride === 0) return;
  yield header;
  yield cacheLine(kernel, slab.cache);
  yield `  ${'SLAB'.padEnd(18)}${'MEMORY'.padEnd(18)}NODE  TOTAL  ALLOCATED  FREE`;
  const counts = [slab.objects, slab.inUse, slab.objects - slab.inUse];
  yield `  ${hex(slab.descriptor)}  ${hex(slab.start)}     0 ${String(counts[0]).padStart(6)} ${String(counts[1]).padStart(10)} ${String(counts[2]).padStart(5)}`;
  const object =
    slab.start + ((address - slab.start) / BigInt(slab.cache.stride)) * BigInt(slab.cache.stride);
  yield '  OBJECT';
  yield `  ${hex(object)}${object === address ? '' : `  (${address - object} bytes before ${hex(address)})`}`;
}
