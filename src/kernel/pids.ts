import { type KernelCore, known } from './core.ts';
import { xarrayEntries } from './xarray.ts';

/** Tasks that share one pid structure as threads; there is one but while a process replaces itself. */
const maxTasksOfPid = 16;

/** Addresses of all struct pid of the first namespace, by the tree that numbers them (init_pid_ns.idr). */
export function* taskPids(core: KernelCore): Generator<bigint> {
  const head = known(core.global('init_pid_ns', 'pid_namespace')?.find('idr.idr_rt.xa_head')?.integer());
  if (head === undefined) return;
  for (const { entry } of xarrayEntries(core, head)) yield entry;
}

/** Addresses of the task_structs that a struct pid stands for. */
export function* taskOfPid(core: KernelCore, pid: bigint): Generator<bigint> {
  const link = core.type('task_struct')?.place('pid_links[0]');
  const list = core.type('pid')?.place('tasks[0].first');
  if (link === undefined || list === undefined) return;
  let at = known(core.u64(pid + BigInt(list.offset)));
  for (let i = 0; at && i < maxTasksOfPid; i++) {
    yield at - BigInt(link.offset);
    at = known(core.u64(at));
  }
}
