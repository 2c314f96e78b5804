import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { isMissing } from './memory.ts';
import type { KernelObject } from './object.ts';
import { pageOf } from './page-of.ts';

/** A memory node. */
export type MemoryNode = {
  readonly id: number;
  /** Its struct pglist_data. */
  readonly object: KernelObject;
  readonly zones: readonly Zone[];
};

/** A zone of a memory node. */
export type Zone = {
  readonly index: number;
  /** Its struct zone. */
  readonly object: KernelObject;
  readonly name: string;
  /** Its first page frame, and page frames up to its end, holes included; 0 when it has none. */
  readonly start: number;
  readonly spanned: number;
};

const mostNodes = 1024;
const mostZones = 16;
const pageBytes = 4096;

/** Every memory node of a kernel; none where the dump does not tell. */
export function* memoryNodes(kernel: Kernel): Generator<MemoryNode> {
  const { core } = kernel;
  if (core.type('pglist_data') === undefined) return;
  const only = core.address('contig_page_data');
  if (only !== undefined) yield nodeAt(kernel, 0, only);
  const table = only === undefined ? core.address('node_data') : undefined;
  const count = known(core.global('nr_node_ids', 'int')?.number());
  for (let id = 0; table !== undefined && id < Math.min(count ?? mostNodes, mostNodes); id++) {
    const address = known(core.u64(table + BigInt(8 * id)));
    if (address) yield nodeAt(kernel, id, address);
    // Numbers may be left out, but without their count the first that is ends the table.
    else if (count === undefined) return;
  }
}

function nodeAt(kernel: Kernel, index: number, address: bigint): MemoryNode {
  const object = kernel.object('pglist_data', address);
  const array = object.find('node_zones');
  const count = array === undefined ? 0 : Math.min(array.type.bare.length, mostZones);
  const zones = Array.from({ length: count }, (_, i) => known(array!.at(i))).flatMap((zone, i) =>
    zone === undefined ? [] : zoneOf(zone, i),
  );
  return { id: known(object.find('node_id')?.number()) ?? index, object, zones };
}

function zoneOf(object: KernelObject, index: number): Zone {
  const name = object.member('name').text();
  const spanned = known(object.member('spanned_pages').number()) ?? 0;
  return {
    index,
    object,
    name: isMissing(name) ? `<${name.missing}>` : name,
    start: spanned === 0 ? 0 : (known(object.member('zone_start_pfn').number()) ?? 0),
    spanned,
  };
}

/** Address of the struct page of a page frame. */
export const pageOfFrame = (kernel: Kernel, pfn: number): bigint => pageOf(kernel, pfn * pageBytes).address;
