import type { KernelTask } from '../../kernel/tasks.ts';
import { KdumpError } from '../../lib/errors.ts';
import { tasksOf, usageError } from '../arguments.ts';
import { chooseTasks } from '../choose-tasks.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';
import { isKernelTask, taskHeader, tasksByPid } from '../tasks.ts';
import { shown } from '../text.ts';

const states = new Set(['RU', 'IN', 'UN', 'ST', 'TR', 'ZO', 'DE', 'WA', 'PA', 'ID', 'NE']);
/** Commands that say themselves which task they are about. */
const headed = new Set(['bt', 'task', 'files', 'vm', 'net', 'sig', 'set']);
/** Commands that work on the task of the context. */
const perTask = new Set([...headed, 'ps', 'vtop', 'rd', 'p', 'struct', 'search', 'dis', 'mount']);

export const foreach: Command = {
  name: 'foreach',
  aliases: ['for'],
  usage: '[pid | task | name | state | kernel | user | gleader | active] ... command [arguments]',
  summary: 'a command for each of many tasks',
  help: `Without a choice of tasks it is for all of them.

  foreach UN bt            tasks in a state: RU IN UN ST TR ZO DE WA PA ID NE
  foreach 'kworker/u.*' bt tasks by their name, in quotes by a regular expression
  foreach user files       tasks of users; kernel: of the kernel; gleader: first threads; active: those running
  foreach task -R prio`,
  *run(session, args) {
    const { tasks, command, rest } = understood(session, args);
    if (command.name === 'ps') {
      yield* command.run(session, [...rest, ...tasks.map(({ address }) => address.toString(16))]);
      return;
    }
    let isFirst = true;
    for (const task of tasks) {
      if (!isFirst && command.name === 'bt') yield '';
      isFirst = false;
      if (!headed.has(command.name)) yield taskHeader(task);
      try {
        yield* command.run(session.at(task), rest);
      } catch (error) {
        // What is wrong with one task is no reason to leave out the others.
        if (!(error instanceof KdumpError) || error.code === 'usage') throw error;
        yield `${command.name}: ${error.message}`;
      }
    }
  },
  json: (session, args) => {
    const { tasks, command, rest } = understood(session, args);
    return tasks.map((task) => ({
      pid: task.pid,
      task: task.address,
      result: command.json?.(session.at(task), rest) ?? [...command.run(session.at(task), rest)],
    }));
  },
};

type Understood = {
  readonly tasks: readonly KernelTask[];
  readonly command: Command;
  readonly rest: readonly string[];
};

/** The words before the first one that is a command choose tasks. */
function understood(session: Session, args: readonly string[]): Understood {
  const at = args.findIndex(
    (word) => session.commands.find(word) !== undefined && tasksOf(session, word) === undefined,
  );
  const command = at < 0 ? undefined : session.commands.find(args[at]!);
  if (command === undefined) throw usageError('a command is needed');
  if (!perTask.has(command.name)) throw usageError(`${command.name} is not about tasks`);
  return { tasks: chosen(session, args.slice(0, at)), command, rest: args.slice(at + 1) };
}

function chosen(session: Session, words: readonly string[]): KernelTask[] {
  const all = tasksByPid(session.kernel);
  const wantedStates = words
    .filter((word) => states.has(word.toUpperCase()))
    .map((word) => word.toUpperCase());
  const kinds = words.filter((word) => word in kindsOfTasks);
  const named = words.filter((word) => !states.has(word.toUpperCase()) && !(word in kindsOfTasks));
  const of = named.length === 0 ? all : chooseTasks(session, named);
  return of.filter(
    (task) =>
      (wantedStates.length === 0 || wantedStates.includes(shown(task.state, ({ code }) => code))) &&
      kinds.every((kind) => kindsOfTasks[kind]!(task)),
  );
}

const kindsOfTasks: Readonly<Record<string, (task: KernelTask) => boolean>> = {
  kernel: isKernelTask,
  user: (task) => !isKernelTask(task),
  gleader: ({ pid, tgid }) => pid === tgid,
  active: ({ onCpu }) => onCpu !== undefined,
};
