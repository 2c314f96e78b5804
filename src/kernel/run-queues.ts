import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { walkList } from './list.ts';
import type { KernelObject } from './object.ts';
import { walkRbTree } from './rbtree.ts';
import { KernelTask } from './tasks.ts';

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
      fair: fairTasks(kernel, object.member('cfs')),
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

/** What a queue of fair tasks holds: tasks, and groups with queues of their own. */
export type FairEntry = KernelTask | FairGroup;

/** A group of tasks that share a part of a CPU. */
export type FairGroup = {
  /** Its struct task_group, and its struct cfs_rq on this CPU. */
  readonly group: bigint;
  readonly queue: KernelObject;
  /** Name of its control group; undefined when it has none. */
  readonly name: string | undefined;
  readonly throttled: boolean;
  readonly entries: readonly FairEntry[];
};

/** The fair tasks of a CPU by their groups, what runs first. */
export const fairGroups = (kernel: Kernel, { object }: RunQueue): FairGroup =>
  groupOf(kernel, object.member('cfs'), 0, true);

/** All that wait in a queue and in the groups in it. */
function fairTasks(kernel: Kernel, queue: KernelObject): KernelTask[] {
  const tasksOf = (entry: FairEntry): KernelTask[] =>
    entry instanceof KernelTask ? [entry] : entry.entries.flatMap(tasksOf);
  return groupOf(kernel, queue, 0, false).entries.flatMap(tasksOf);
}

function groupOf(kernel: Kernel, queue: KernelObject, depth: number, running: boolean): FairGroup {
  const group = known(queue.find('tg')?.deref());
  const node = known(known(group?.find('css.cgroup')?.deref())?.find('kn')?.deref());
  return {
    group: group?.address ?? kernel.core.address('root_task_group') ?? 0n,
    queue,
    name: known(node?.find('name')?.text()),
    throttled: (known(queue.find('throttled')?.integer()) ?? 0n) !== 0n,
    entries: entriesOf(kernel, queue, depth, running),
  };
}

/** A tree by virtual time, out of which what runs is taken; an entity in it is a task, or a group with a queue of its own. */
function entriesOf(kernel: Kernel, queue: KernelObject, depth: number, running: boolean): FairEntry[] {
  const link = kernel.core.type('sched_entity')?.place('run_node');
  const inTask = kernel.core.type('task_struct')?.place('se');
  if (link === undefined || inTask === undefined || depth > mostGroups) return [];
  const current = running ? known(queue.find('curr')?.integer()) : undefined;
  const { nodes } = walkRbTree(kernel.core.memory, queue.member('tasks_timeline').address);
  const waiting = nodes.map((node) => node - BigInt(link.offset)).filter((each) => each !== current);
  return [...(current ? [current] : []), ...waiting].map((address) => {
    const own = known(kernel.object('sched_entity', address).find('my_q')?.deref());
    return own === undefined
      ? kernel.task(address - BigInt(inTask.offset))
      : groupOf(kernel, own, depth + 1, running);
  });
}
