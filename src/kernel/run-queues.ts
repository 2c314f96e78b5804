import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { walkList } from './list.ts';
import type { KernelObject } from './object.ts';
import { walkRbTree } from './rbtree.ts';
import type { KernelTask } from './tasks.ts';

/** What waits for a CPU. */
export type RunQueue = {
  readonly cpu: number;
  /** Its struct rq. */
  readonly object: KernelObject;
  readonly current: KernelTask | undefined;
  readonly realTime: readonly KernelTask[];
  readonly fair: readonly KernelTask[];
};

const mostGroups = 32;

export function runQueues(kernel: Kernel): RunQueue[] {
  return kernel.cpus.flatMap(({ cpu, task }) => {
    const address = kernel.perCpu('runqueues', cpu);
    if (typeof address !== 'bigint') return [];
    const object = kernel.object('rq', address);
    return {
      cpu,
      object,
      current: task === undefined ? undefined : kernel.task(task),
      realTime: realTimeTasks(kernel, object),
      fair: fairTasks(kernel, object.member('cfs'), 0),
    };
  });
}

/** A list for each priority. */
function realTimeTasks(kernel: Kernel, queue: KernelObject): KernelTask[] {
  const lists = queue.member('rt.active.queue');
  const entity = kernel.core.type('task_struct')?.place('rt.run_list');
  if (entity === undefined) return [];
  // The last list only marks the end of the bitmap.
  return Array.from({ length: lists.type.bare.length - 1 }, (_, i) => lists.address + BigInt(16 * i)).flatMap(
    (head) =>
      walkList(kernel.core.memory, head).entries.map((entry) => kernel.task(entry - BigInt(entity.offset))),
  );
}

/** A tree by virtual time; an entity in it is a task, or a group with a queue of its own. */
function fairTasks(kernel: Kernel, queue: KernelObject, depth: number): KernelTask[] {
  const link = kernel.core.type('sched_entity')?.place('run_node');
  const inTask = kernel.core.type('task_struct')?.place('se');
  if (link === undefined || inTask === undefined || depth > mostGroups) return [];
  return walkRbTree(kernel.core.memory, queue.member('tasks_timeline').address).nodes.flatMap((node) => {
    const entity = kernel.object('sched_entity', node - BigInt(link.offset));
    const own = known(entity.find('my_q')?.deref());
    return own === undefined
      ? [kernel.task(entity.address - BigInt(inTask.offset))]
      : fairTasks(kernel, own, depth + 1);
  });
}
