import { known } from '../kernel/core.ts';
import { isMissing, type Missing } from '../kernel/memory.ts';
import type { KernelTask } from '../kernel/tasks.ts';
import { durationText } from './banner.ts';
import { kernelClock, runQueueClock } from './facts.ts';
import type { Session } from './session.ts';
import { cpuText, taskHeader, tasksByPid } from './tasks.ts';
import { centred, shown } from './text.ts';

/** Parents of parents that are followed; a circle is damage. */
const maxAncestors = 256;

/** ps -p: its ancestors, the first one first. */
export function* parentLines({ kernel }: Session, task: KernelTask): Generator<string> {
  const chain: KernelTask[] = [task];
  while (chain[0]!.pid !== 0 && chain.length < maxAncestors) {
    const parent = known(chain[0]!.parent);
    if (!parent || chain.some(({ address }) => address === parent)) break;
    chain.unshift(kernel.task(parent));
  }
  for (const [depth, each] of chain.entries()) yield ' '.repeat(depth) + taskHeader(each);
}

/** ps -c */
export function* childLines({ kernel }: Session, task: KernelTask): Generator<string> {
  yield taskHeader(task);
  const children = tasksByPid(kernel).filter(
    (each) =>
      each.pid !== 0 &&
      each.pid === each.tgid &&
      each.parent === task.address &&
      each.address !== task.address,
  );
  for (const child of children) yield `  ${taskHeader(child)}`;
  if (children.length === 0) yield '  (no children)';
}

/** ps -g */
export function* threadLines({ kernel }: Session, task: KernelTask): Generator<string> {
  const group = tasksByPid(kernel).filter(({ tgid, pid }) => tgid === task.tgid && pid !== 0);
  const leader = group.find(({ pid, tgid }) => pid === tgid) ?? task;
  yield taskHeader(leader);
  const others = group.filter(({ address }) => address !== leader.address);
  for (const thread of others) yield `  ${taskHeader(thread)}`;
  if (others.length === 0) yield '  (no threads)';
}

/** ps -t */
export function* timeLines({ kernel }: Session, task: KernelTask): Generator<string> {
  yield taskHeader(task);
  const clock = kernelClock(kernel);
  const { startTime, times } = task;
  const up = clock && Number(clock.ticks) / clock.hz;
  const started = isMissing(startTime) ? undefined : Number(startTime) / 1e9;
  if (up !== undefined && started !== undefined)
    yield `    RUN TIME: ${durationText(Math.max(0, up - started))}`;
  yield `  START TIME: ${shown(startTime)}`;
  yield `       UTIME: ${shown(times.user)}`;
  yield `       STIME: ${shown(times.system)}`;
}

const resources = [
  'CPU',
  'FSIZE',
  'DATA',
  'STACK',
  'CORE',
  'RSS',
  'NPROC',
  'NOFILE',
  'MEMLOCK',
  'AS',
  'LOCKS',
  'SIGPENDING',
  'MSGQUEUE',
  'NICE',
  'RTPRIO',
  'RTTIME',
] as const;
const unlimited = 2n ** 64n - 1n;

/** ps -r */
export function* limitLines(_: Session, task: KernelTask): Generator<string> {
  yield taskHeader(task);
  yield '      RLIMIT     CURRENT       MAXIMUM  ';
  const signal = task.object.member('signal').deref();
  for (const [i, name] of resources.entries()) {
    const value = (which: string): bigint | Missing =>
      isMissing(signal) ? signal : signal.member(`rlim[${i}].rlim_${which}`).integer();
    const text = (limit: bigint | Missing): string =>
      centred(
        shown(limit, (count) => (count === unlimited ? '(unlimited)' : String(count))),
        11,
      );
    yield `  ${name.padStart(10)}   ${text(value('cur'))}   ${text(value('max'))}`;
  }
}

/** ps -l, and -m with the time that has passed instead. @param cpus a part of its own for each of them */
export function* lastRunLines(
  session: Session,
  tasks: readonly KernelTask[],
  passed: boolean,
  cpus: readonly number[] | undefined,
): Generator<string> {
  const latest = tasks
    .map((task) => ({ task, run: known(task.lastRun) ?? 0n }))
    .sort((a, b) => (a.run === b.run ? 0 : a.run > b.run ? -1 : 1));
  const width = String(latest[0]?.run ?? 0).length;
  const line = ({ task, run }: (typeof latest)[number]): string => {
    const when = passed ? elapsed(session, task, run) : String(run).padStart(width);
    return `[${when}] [${shown(task.state, ({ code }) => code)}]  ${taskHeader(task)}`;
  };
  if (cpus === undefined) {
    for (const each of latest) yield line(each);
    return;
  }
  for (const [i, cpu] of cpus.entries()) {
    if (i > 0) yield '';
    yield `CPU: ${cpu}`;
    for (const each of latest.filter(({ task }) => task.cpu === cpu)) yield line(each);
  }
}

/** Between a CPU's clock and what ran on it. */
function elapsed({ kernel }: Session, task: KernelTask, run: bigint): string {
  const cpu = Number(cpuText(task));
  const now = (Number.isInteger(cpu) ? runQueueClock(kernel, cpu) : undefined) ?? run;
  return spanText(now - run);
}

/** '0 00:00:00.003': days, hours, minutes, seconds. @param nanoseconds none are shown of less than nothing */
export function spanText(nanoseconds: bigint): string {
  const milliseconds = nanoseconds > 0n ? Number(nanoseconds / 1_000_000n) : 0;
  const days = Math.floor(milliseconds / 86_400_000);
  const time = durationText((milliseconds % 86_400_000) / 1000);
  return `${days} ${time}.${String(milliseconds % 1000).padStart(3, '0')}`;
}
