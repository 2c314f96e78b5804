import { known } from './core.ts';
import { globalNumber } from './counters.ts';
import type { Kernel } from './kernel.ts';
import type { ListDamage } from './list.ts';
import type { KernelObject } from './object.ts';

/** A range of vmalloc's that is in use. */
export type VmallocArea = {
  readonly object: KernelObject;
  readonly start: bigint;
  readonly end: bigint;
  /** Its vm_struct; 0 of one that was made by vm_map_ram. */
  readonly vm: bigint;
};

const mostNodes = 1024;

/** All ranges that vmalloc gave out, in ascending order: on one list, since 6.9 on one of each of its nodes. */
export function vmallocAreas(kernel: Kernel): { areas: VmallocArea[]; damage: ListDamage | undefined } {
  let damage: ListDamage | undefined;
  const areas = headsOf(kernel).flatMap((head) => {
    const list = kernel.listEntries(head, 'vmap_area', 'list');
    damage ??= list.damage;
    return list.entries.flatMap((object) => {
      const start = known(object.member('va_start').integer());
      const end = known(object.member('va_end').integer());
      const vm = known(object.member('vm').integer());
      return start === undefined || end === undefined || vm === undefined ? [] : { object, start, end, vm };
    });
  });
  return { areas: areas.sort((a, b) => (a.start < b.start ? -1 : 1)), damage };
}

function headsOf(kernel: Kernel): bigint[] {
  if (kernel.core.type('vmap_area') === undefined) return [];
  const list = kernel.core.address('vmap_area_list');
  if (list !== undefined && kernel.core.address('vmap_nodes') === undefined) return [list];
  const first = globalNumber(kernel, 'vmap_nodes');
  const count = Number(globalNumber(kernel, 'nr_vmap_nodes', 4) ?? 0n);
  const node = kernel.core.type('vmap_node');
  const head = node?.place('busy.head');
  if (!first || node === undefined || head === undefined) return [];
  return Array.from(
    { length: Math.min(count, mostNodes) },
    (_, i) => first + BigInt(i * node.size + head.offset),
  );
}
