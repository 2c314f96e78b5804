import { type RunQueue, runQueues } from '../../kernel/run-queues.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { cpusOf, parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { hex, shown } from '../text.ts';

export const runq: Command = {
  name: 'runq',
  usage: '[-t | -T] [-c cpus]',
  summary: 'what waits for each CPU',
  help: '  -t  the clock of each queue, and when its task began to run\n  -T  how far each clock is behind the newest',
  *run(session, args) {
    const parsed = parseFlags(args, 'tTc:');
    const chosen = lastValue(parsed, 'c');
    const cpus = chosen === undefined ? undefined : cpusOf(session, chosen);
    const queues = runQueues(session.kernel).filter(({ cpu }) => cpus === undefined || cpus.includes(cpu));
    if (hasOption(parsed, 'T')) yield* lags(queues);
    else if (hasOption(parsed, 't')) yield* clocks(queues);
    else for (const queue of queues) yield* queueLines(queue);
  },
};

const taskText = (task: KernelTask): string =>
  `PID: ${shown(task.pid).padEnd(5)}  TASK: ${hex(task.address)}  COMMAND: "${shown(task.comm)}"`;

function* queueLines({ cpu, object, current, realTime, fair }: RunQueue): Generator<string> {
  yield `CPU ${cpu} RUNQUEUE: ${hex(object.address)}`;
  yield `  CURRENT: ${current === undefined ? '(unknown)' : taskText(current)}`;
  yield `  RT PRIO_ARRAY: ${hex(object.member('rt.active').address)}`;
  yield* taskLines(realTime);
  yield `  CFS RB_ROOT: ${hex(object.member('cfs.tasks_timeline').address)}`;
  yield* taskLines(fair);
  yield '';
}

function* taskLines(tasks: readonly KernelTask[]): Generator<string> {
  if (tasks.length === 0) yield '     [no tasks queued]';
  for (const task of tasks)
    yield `     [${shown(task.object.member('prio').number()).padStart(3)}] ${taskText(task)}`;
}

function* clocks(queues: readonly RunQueue[]): Generator<string> {
  for (const { cpu, object, current } of queues) {
    yield ` CPU ${cpu}: ${shown(object.member('clock').integer())}`;
    if (current === undefined) continue;
    const since = current.lastRun;
    yield `        ${since === undefined ? '(unknown)' : shown(since, (value) => String(value).padStart(11, '0'))}  ${taskText(current)}`;
  }
}

function* lags(queues: readonly RunQueue[]): Generator<string> {
  const times = queues.flatMap(({ cpu, object }) => {
    const clock = object.member('clock').integer();
    return typeof clock === 'bigint' ? { cpu, clock } : [];
  });
  const newest =
    times
      .map(({ clock }) => clock)
      .sort(ascending)
      .at(-1) ?? 0n;
  const byLag = times
    .map(({ cpu, clock }) => ({ cpu, lag: newest - clock }))
    .sort((a, b) => Number(a.lag - b.lag));
  for (const { cpu, lag } of byLag) yield `  CPU ${cpu}: ${(Number(lag) / 1e9).toFixed(2)} secs`;
}

const ascending = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
