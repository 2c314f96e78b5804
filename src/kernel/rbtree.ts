import { isMissing, type Missing, u64At, type VirtualMemory } from './memory.ts';

export type TreeWalk = {
  /** Addresses of the rb_nodes, in the order of the tree. */
  readonly nodes: readonly bigint[];
  /** Nodes that could not be read: they and what is below them are not in `nodes`. */
  readonly missing: readonly Missing[];
  /** Whether it is deeper or larger than a tree can be, or goes in a circle: then only a part is in `nodes`. */
  readonly broken: boolean;
};

/** struct rb_node: parent and colour, right, left. */
const nodeBytes = 24;
const [rightOffset, leftOffset] = [8, 16] as const;
/** A red-black tree of 2^40 nodes is no deeper. */
const maxDepth = 80;

/**
 * Walks a red-black tree (include/linux/rbtree.h).
 * @param root address of the struct rb_root
 */
export function walkRbTree(memory: VirtualMemory, root: bigint, limit = 2 ** 22): TreeWalk {
  const nodes: bigint[] = [];
  const missing: Missing[] = [];
  const seen = new Set<bigint>();
  let broken = false;
  const walk = (address: bigint, depth: number): void => {
    if (address === 0n) return;
    if (depth === maxDepth || seen.has(address) || seen.size >= limit) {
      broken = true;
      return;
    }
    seen.add(address);
    const bytes = memory.read(address, nodeBytes);
    if (isMissing(bytes)) {
      missing.push(bytes);
      return;
    }
    walk(u64At(bytes, leftOffset), depth + 1);
    nodes.push(address);
    walk(u64At(bytes, rightOffset), depth + 1);
  };
  const first = memory.read(root, 8);
  if (isMissing(first)) return { nodes, missing: [first], broken };
  walk(u64At(first, 0), 0);
  return { nodes, missing, broken };
}
