import { known } from '../../kernel/core.ts';
import { parseFlags } from '../arguments.ts';
import { chooseTasks } from '../choose-tasks.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';
import { frameText } from '../triage/frame-text.ts';
import { groupTasks, type TaskGroup } from '../triage/groups.ts';

/** Tasks of a group that are named. */
const mostNamed = 8;

export const groups: Command = {
  name: 'groups',
  usage: '[pid | task | name ...]',
  summary: 'backtraces of all tasks, each shown once with who is in it',
  help: `Tasks that are in the same functions are one group; the largest comes first. Without arguments all tasks are told.`,
  *run(session, args) {
    for (const { frames, tasks } of found(session, parseFlags(args, '').positionals)) {
      const names = tasks
        .slice(0, mostNamed)
        .map(({ comm, pid }) => `${known(comm) ?? '?'} (${known(pid) ?? '?'})`);
      const more = tasks.length > mostNamed ? `, and ${tasks.length - mostNamed} more` : '';
      yield `${tasks.length} ${tasks.length === 1 ? 'task' : 'tasks'}: ${names.join(', ')}${more}`;
      for (const frame of frames) yield `  ${frameText(frame)}`;
      yield '';
    }
  },
  json: (session, args) =>
    found(session, args).map(({ frames, tasks }) => ({
      tasks: tasks.map(({ pid, comm, address }) => ({ pid, comm, address })),
      frames: frames.map(frameText),
    })),
};

const found = (session: Session, args: readonly string[]): TaskGroup[] =>
  groupTasks(session.kernel, args.length === 0 ? session.kernel.tasks : chooseTasks(session, args));
