import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import type { ListDamage } from './list.ts';
import type { KernelObject } from './object.ts';
import { walkRbTree } from './rbtree.ts';
import type { KernelTask } from './tasks.ts';

/** What is mounted in a task's namespace: a list until 6.7, a tree since. */
export function mountsOf(
  kernel: Kernel,
  task: KernelTask,
): { readonly mounts: readonly KernelObject[]; readonly damage: ListDamage | 'missing' | undefined } {
  const proxy = known(task.object.member('nsproxy').deref());
  const namespace = known(proxy?.member('mnt_ns').deref());
  if (namespace === undefined) return { mounts: [], damage: 'missing' };
  const tree = namespace.find('mounts');
  // Of kernels in between, `mounts` is the number of them.
  if (tree?.type.bare.kind !== 'struct') {
    const { entries, damage } = kernel.listEntries(namespace.member('list').address, 'mount', 'mnt_list');
    return { mounts: entries, damage };
  }
  const { nodes, missing, broken } = walkRbTree(kernel.core.memory, tree.address);
  return {
    mounts: nodes.map((node) => kernel.containerOf(node, 'mount', 'mnt_node')),
    damage: missing.length > 0 || broken ? 'missing' : undefined,
  };
}
