import { type FairGroup, fairGroups, type RunQueue, runQueues } from '../../kernel/run-queues.ts';
import { KernelTask } from '../../kernel/tasks.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { cpusOf, parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';
import { spanText } from '../task-lines.ts';
import { hex, shown } from '../text.ts';

export const runq: Command = {
  name: 'runq',
  usage: '[-t | -T | -m | -g] [-c cpus]',
  summary: 'what waits for each CPU',
  help: [
    '  -t       the clock of each queue, and when its task began to run',
    '  -T       how far each clock is behind the newest',
    '  -m       how long the task of each CPU has been running: days, hours:minutes:seconds',
    '  -g       by groups of tasks, each with the name of its control group; what runs is [CURRENT]',
    '  -c CPUS  these CPUs alone: 1, 0,2 or 1-3',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 'tTmgc:');
    const chosen = lastValue(parsed, 'c');
    const cpus = chosen === undefined ? undefined : cpusOf(session, chosen);
    const queues = runQueues(session.kernel).filter(({ cpu }) => cpus === undefined || cpus.includes(cpu));
    if (hasOption(parsed, 'T')) yield* lags(queues);
    else if (hasOption(parsed, 't')) yield* clocks(queues);
    else if (hasOption(parsed, 'm')) yield* runTimes(queues);
    else if (hasOption(parsed, 'g')) for (const queue of queues) yield* groupLines(session, queue);
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
  for (const task of tasks) yield `     ${priority(task)} ${taskText(task)}`;
}

const priority = (task: KernelTask): string => `[${shown(task.object.member('prio').number()).padStart(3)}]`;

function* groupLines({ kernel }: Session, queue: RunQueue): Generator<string> {
  const { cpu, object, current, realTime } = queue;
  yield `CPU ${cpu}`;
  yield `  CURRENT: ${current === undefined ? '(unknown)' : taskText(current)}`;
  if (realTime.length > 0) {
    yield `  RT_RQ: ${hex(object.member('rt').address)}`;
    yield* taskLines(realTime);
  }
  yield* oneGroup(fairGroups(kernel, queue), 0, current?.address);
  yield '';
}

function* oneGroup(
  { group, queue, name, throttled, entries }: FairGroup,
  depth: number,
  current: bigint | undefined,
): Generator<string> {
  const indent = ' '.repeat(2 + 3 * depth);
  const title = depth === 0 ? 'ROOT_TASK_GROUP' : 'TASK_GROUP';
  const named = depth === 0 || name === undefined ? '' : `  <${name}>`;
  yield `${indent}${title}: ${hex(group)}  CFS_RQ: ${hex(queue.address)}${named}${throttled ? ' (THROTTLED)' : ''}`;
  if (entries.length === 0) yield `${indent}   [no tasks queued]`;
  for (const entry of entries) {
    if (!(entry instanceof KernelTask)) yield* oneGroup(entry, depth + 1, current);
    else
      yield `${indent}   ${priority(entry)} ${taskText(entry)}${entry.address === current ? ' [CURRENT]' : ''}`;
  }
}

function* runTimes(queues: readonly RunQueue[]): Generator<string> {
  for (const { cpu, object, current } of queues) {
    const [clock, since] = [object.member('clock').integer(), current?.lastRun];
    const time =
      typeof clock === 'bigint' && typeof since === 'bigint' ? spanText(clock - since) : '(unknown)';
    yield ` CPU ${cpu}: [${time}]  ${current === undefined ? '(unknown)' : taskText(current)}`;
  }
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
