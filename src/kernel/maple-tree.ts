import type { KernelCore } from './core.ts';
import { isMissing, type Missing, u64At } from './memory.ts';

/** A range of indices, both ends included, and the pointer that is stored for it. */
export type MapleRange = { readonly first: bigint; readonly last: bigint; readonly entry: bigint };

export type MapleWalk = {
  readonly ranges: readonly MapleRange[];
  /** Nodes that could not be read: what they held is not in `ranges`. */
  readonly missing: readonly Missing[];
};

const lastIndex = (1n << 64n) - 1n;
/** Type of a node, and what is below the address in a pointer to it (lib/maple_tree.c). */
const typeOf = (pointer: bigint): number => Number((pointer >> 3n) & 15n);
const addressMask = ~0xffn;
const [leaf, range, allocationRange] = [1, 2, 3] as const;
const maxDepth = 31;

/**
 * All that a maple tree holds, in ascending order (include/linux/maple_tree.h; since 6.1: areas of a process's memory,
 * interrupts): ranges of indices without those that hold nothing.
 * @param tree address of the struct maple_tree
 */
export function walkMapleTree(core: KernelCore, tree: bigint, limit = 2 ** 20): MapleWalk {
  const ranges: MapleRange[] = [];
  const missing: Missing[] = [];
  const root = core.object('maple_tree', tree).member('ma_root').integer();
  if (isMissing(root)) return { ranges, missing: [root] };
  const add = (first: bigint, last: bigint, entry: bigint): void => {
    // Internal entries mark places that are reserved.
    if (entry !== 0n && (entry & 3n) !== 2n && ranges.length < limit) ranges.push({ first, last, entry });
  };
  const walk = (pointer: bigint, first: bigint, last: bigint, depth: number): void => {
    const type = typeOf(pointer);
    const shape = core.type(type === allocationRange ? 'maple_arange_64' : 'maple_range_64');
    const [pivots, slots] = [shape?.place('pivot'), shape?.place('slot')];
    const isKnown = type === leaf || type === range || type === allocationRange;
    if (shape === undefined || pivots === undefined || slots === undefined || !isKnown || depth === maxDepth)
      return;
    const bytes = core.memory.read(BigInt.asUintN(64, pointer & addressMask), shape.size);
    if (isMissing(bytes)) {
      missing.push(bytes);
      return;
    }
    let start = first;
    for (let i = 0; i < slots.type.length && start <= last; i++) {
      const pivot = i < pivots.type.length ? u64At(bytes, pivots.offset + 8 * i) : last;
      // The last range that is used ends where the node does; what is behind it is not.
      const end = (pivot === 0n && i > 0) || pivot > last ? last : pivot;
      const entry = u64At(bytes, slots.offset + 8 * i);
      if (type === leaf) add(start, end, entry);
      else if (entry !== 0n) walk(entry, start, end, depth + 1);
      if (end === last || ranges.length >= limit) return;
      start = end + 1n;
    }
  };
  if ((root & 3n) === 2n && root > 4096n) walk(root, 0n, lastIndex, 0);
  else add(0n, 0n, root);
  return { ranges, missing };
}
