import { known } from '../../kernel/core.ts';
import { isMissing, type Missing } from '../../kernel/memory.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { hasOption, lastValue, type ParsedArguments } from '../../lib/getopt.ts';
import { cpusOf, lastOf, parseFlags, usageError } from '../arguments.ts';
import { chooseTasks } from '../choose-tasks.ts';
import type { Command } from '../command.ts';
import { memoryPages } from '../facts.ts';
import type { Session } from '../session.ts';
import { argumentLines } from '../task-arguments.ts';
import { childLines, lastRunLines, limitLines, parentLines, threadLines, timeLines } from '../task-lines.ts';
import { cpuText, isKernelTask, parentPid, tasksByPid } from '../tasks.ts';
import { hex, missingText, shown } from '../text.ts';

/** Options that show something else than the table, of which the last one wins. */
const modes = ['p', 'c', 't', 'l', 'm', 'a', 'g', 'r', 'S'] as const;

export const ps: Command = {
  name: 'ps',
  usage:
    '[-k|-u|-G|-A|-y policy] [-s] [-H] [-p|-c|-t|-[l|m] [-C cpu]|-a|-g|-r|-S] [pid | task | command] ...',
  summary: 'tasks: parent, CPU, state, memory',
  help: `Shows all tasks, or those that have a PID, a task address or a name; a name in quotes is a regular
expression. > marks tasks that were running.

  -k   only threads of the kernel      -u   only user tasks
  -G   only the first thread of each process
  -A   only tasks that were running    -y   only those of scheduling policies (0, 1 or FF, 2 or RR …)
  -s   the kernel stack pointer instead of the task's address
  -H   without the line of headings
  -p   the parents of each             -c   the children of each
  -g   the threads of its process      -t   run time, start time, time in user mode and in the kernel
  -l   by the time at which it last began to run, the latest first; with -C those of CPUs
  -m   the same as time that has passed since
  -a   arguments and environment       -r   resource limits
  -S   how many tasks are in each state

  ps | grep UN      ps -l | head      ps 'kworker/u.*'`,
  *run(session, args) {
    const parsed = parseFlags(args, 'kuGAy:sHpctlmagrSC:');
    const tasks = selected(session, parsed);
    const some = parsed.positionals.length > 0;
    const mode = lastOf(parsed, modes);
    const cpus = lastValue(parsed, 'C');
    if (mode === undefined) yield* table(session, tasks, parsed);
    else if (mode === 'S') yield* summary(tasks);
    else if (mode === 'l' || mode === 'm') {
      const of = cpus === undefined ? undefined : cpusOf(session, cpus);
      yield* lastRunLines(session, tasks, mode === 'm', of);
    } else {
      const lines = {
        p: parentLines,
        c: childLines,
        t: timeLines,
        g: threadLines,
        a: argumentLines,
        r: limitLines,
      }[mode];
      const of = some || mode !== 'g' ? tasks : tasks.filter(isLeader);
      for (const task of of) {
        yield* lines(session, task);
        yield '';
      }
    }
  },
  json: (session, args) =>
    selected(session, parseFlags(args, 'kuGAy:sHpctlmagrSC:')).map((task) => taskFacts(task)),
};

function selected(session: Session, parsed: ParsedArguments): KernelTask[] {
  const { kernel } = session;
  const named = parsed.positionals;
  const all = named.length === 0 ? tasksByPid(kernel) : chooseTasks(session, named);
  const policies = lastValue(parsed, 'y')?.split(',').map(policyNumber);
  return all.filter(
    (task) =>
      (!hasOption(parsed, 'k') || isKernelTask(task)) &&
      (!hasOption(parsed, 'u') || !isKernelTask(task)) &&
      (!hasOption(parsed, 'G') || isLeader(task)) &&
      (!hasOption(parsed, 'A') || task.onCpu !== undefined) &&
      (policies === undefined || policies.includes(known(task.object.find('policy')?.number()) ?? -1)),
  );
}

const isLeader = (task: KernelTask): boolean => task.pid === task.tgid;

/** SCHED_ policies by their numbers (include/uapi/linux/sched.h). */
const policies = ['NORMAL', 'FIFO', 'RR', 'BATCH', 'ISO', 'IDLE', 'DEADLINE', 'EXT'];

function policyNumber(text: string): number {
  const name =
    { NO: 'NORMAL', FF: 'FIFO', BA: 'BATCH', ID: 'IDLE', DL: 'DEADLINE' }[text.toUpperCase()] ?? text;
  const number = /^\d+$/.test(text) ? Number(text) : policies.indexOf(name.toUpperCase());
  if (number < 0) throw usageError(`invalid policy: ${text}`);
  return number;
}

function* table(session: Session, tasks: readonly KernelTask[], parsed: ParsedArguments): Generator<string> {
  const stackPointers = hasOption(parsed, 's');
  const heading = stackPointers ? '     KSTACKP    ' : '      TASK      ';
  if (!hasOption(parsed, 'H')) yield `      PID    PPID  CPU ${heading}  ST  %MEM      VSZ      RSS  COMM`;
  const total = memoryPages(session.kernel)?.span ?? 0;
  for (const task of tasks) yield row(session, task, stackPointers, total);
}

function row(session: Session, task: KernelTask, stackPointers: boolean, total: number): string {
  const { kernel } = session;
  const { core } = kernel;
  const memory = task.memory();
  const kilobytes = (core.info.pageSize ?? 4096) / 1024;
  const size = (pages: number): string => String(pages * kilobytes);
  const resident =
    memory === undefined || isMissing(memory) ? 0 : memory.file + memory.anonymous + memory.shared;
  const share = total === 0 ? '-' : ((resident * kilobytes * 1024 * 100) / total).toFixed(1);
  const lost = memory !== undefined && isMissing(memory) ? missingText(memory) : undefined;
  return [
    task.onCpu === undefined ? ' ' : '>',
    ` ${shown(task.pid).padStart(7)} ${parentPid(kernel, task).padStart(7)} ${cpuText(task).padStart(3)}`,
    `  ${stackPointers ? stackPointer(task) : hex(task.address)}`,
    `  ${shown(task.state, ({ code }) => code)} ${share.padStart(5)}`,
    ` ${(lost ?? size(memory === undefined || isMissing(memory) ? 0 : memory.total)).padStart(8)}`,
    ` ${(lost ?? size(resident)).padStart(8)}`,
    `  ${isKernelTask(task) ? `[${shown(task.comm)}]` : shown(task.comm)}`,
  ].join('');
}

function stackPointer(task: KernelTask): string {
  const pointer: bigint | Missing | undefined = task.object.find('thread.sp')?.integer();
  if (task.onCpu !== undefined || pointer === undefined) return '       --       ';
  return shown(pointer, hex);
}

const stateOrder = ['RU', 'IN', 'UN', 'ST', 'TR', 'ZO', 'DE', 'WA', 'PA', 'ID', 'NE', '??'];

function* summary(tasks: readonly KernelTask[]): Generator<string> {
  const counts = new Map<string, number>();
  for (const task of tasks) {
    const code = shown(task.state, ({ code }) => code);
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  const order = (code: string): number =>
    (stateOrder.indexOf(code) + stateOrder.length + 1) % (stateOrder.length + 1);
  for (const [code, count] of [...counts].sort(([a], [b]) => order(a) - order(b)))
    yield `  ${code}: ${count}`;
}

/** A task as plain values. */
function taskFacts(task: KernelTask): object {
  return {
    pid: task.pid,
    tgid: task.tgid,
    parent: task.parent,
    task: task.address,
    cpu: task.cpu,
    onCpu: task.onCpu,
    state: task.state,
    comm: task.comm,
    kernel: isKernelTask(task),
    memoryPages: task.memory(),
    lastRun: task.lastRun,
    startTime: task.startTime,
    times: task.times,
  };
}
