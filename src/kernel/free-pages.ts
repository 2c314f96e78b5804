import type { Kernel } from './kernel.ts';
import { type ListDamage, walkList } from './list.ts';
import type { Zone } from './zones.ts';

/** A list of the buddy allocator: free blocks of 2^order pages of one kind. */
export type FreeList = {
  readonly order: number;
  /** Address of its list_head. */
  readonly address: bigint;
  /** struct page of the first page of each block. */
  readonly blocks: readonly bigint[];
  /** What is wrong with it; then `blocks` is what could be reached. */
  readonly damage: ListDamage | undefined;
};

/** The free lists of a zone (struct free_area), by order, then by kind of page; what is free for CPUs alone is in none. */
export function* freeLists(kernel: Kernel, zone: Zone): Generator<FreeList> {
  const areas = zone.object.find('free_area');
  const link = kernel.core.type('page')?.place('buddy_list') ?? kernel.core.type('page')?.place('lru');
  if (areas === undefined || link === undefined) return;
  for (let order = 0; order < areas.type.bare.length; order++) {
    const lists = zone.object.member(`free_area[${order}].free_list`);
    const { length, target } = lists.type.bare;
    for (let kind = 0; kind < length; kind++) {
      const address = lists.address + BigInt(kind * target!.size);
      const { entries, damage } = walkList(kernel.core.memory, address);
      yield { order, address, blocks: entries.map((entry) => entry - BigInt(link.offset)), damage };
    }
  }
}
