import { expect, test } from 'vitest';
import { openKernel } from '../../src/kernel/kernel.ts';
import { type FairEntry, fairGroups } from '../../src/kernel/run-queues.ts';
import { KernelTask } from '../../src/kernel/tasks.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeKernelMemory, words } from '../helpers/kernel.ts';

const start = 0xffff_8000_0000_0000n;
const [queue, inner, group, cgroup, node, name] = [0, 0x40, 0x80, 0xa0, 0xb0, 0xc0].map(
  (at) => start + BigInt(at),
);
/** Where the sched_entity of a task lies in it; that of the group lies alone. */
const inTask = 32n;
const [running, waiting, nested, entity] = [0x100, 0x180, 0x200, 0x280].map((at) => start + BigInt(at));

/** A task that runs, one that waits, and a group in which a third one waits. @param own the group's queue */
function kernel(own: bigint = inner!) {
  const btf = new BtfBuilder();
  const long = btf.int('unsigned long', 8);
  const kernfs = btf.struct('kernfs_node', 8, [['name', btf.pointer(btf.int('char', 1)), 0]]);
  const control = btf.struct('cgroup', 8, [['kn', btf.pointer(kernfs), 0]]);
  const state = btf.struct('cgroup_subsys_state', 8, [['cgroup', btf.pointer(control), 0]]);
  const tasks = btf.struct('task_group', 8, [['css', state, 0]]);
  const cfs = btf.struct('cfs_rq', 32, [
    ['tasks_timeline', long, 0],
    ['curr', long, 64],
    ['tg', btf.pointer(tasks), 128],
    ['throttled', long, 192],
  ]);
  const sched = btf.struct('sched_entity', 32, [
    ['run_node', btf.struct('rb_node', 24, [['word', long, 0]]), 0],
    ['my_q', btf.pointer(cfs), 192],
  ]);
  btf.struct('task_struct', 128, [
    ['pid', long, 0],
    ['se', sched, Number(inTask) * 8],
  ]);
  btf.struct('rq', 32, [['cfs', cfs, 0]]);
  const bytes = Buffer.alloc(0x1000);
  const put = (address: bigint, ...values: (bigint | number)[]): void => {
    words(...values).copy(bytes, Number(address - start));
  };
  put(queue!, entity!, running! + inTask, 0);
  put(inner!, nested! + inTask, 0, group!, 1);
  put(group!, cgroup!);
  put(cgroup!, node!);
  put(node!, name!);
  bytes.write('guest\0', Number(name! - start), 'latin1');
  // The group is the root of the tree, the task that waits is to the right of it.
  put(entity!, 0, waiting! + inTask, 0, own);
  const made = openKernel(
    fakeKernelMemory({ pieces: [{ vaddr: start, bytes }], types: btf, symbols: { root_task_group: start } }),
  );
  return fairGroups(made, {
    cpu: 0,
    object: made.object('rq', queue!),
    current: undefined,
    realTime: [],
    fair: [],
  });
}

const shape = (entry: FairEntry): unknown =>
  entry instanceof KernelTask ? entry.address : { name: entry.name, entries: entry.entries.map(shape) };

test('what runs comes first; a group has its name and its own queue', () => {
  const root = kernel();
  expect(root.entries.map(shape)).toEqual([running, { name: 'guest', entries: [nested] }, waiting]);
  expect(root).toMatchObject({ group: start, name: undefined, throttled: false });
  expect(root.entries[1]).toMatchObject({ group, throttled: true });
});

test('a group whose queue is the one that it is in ends', () => {
  expect(kernel(queue!).entries.map(shape)).toEqual([running, { name: undefined, entries: [] }, waiting]);
});
