import type { KernelTask } from '../../kernel/tasks.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { parseFlags, tasksNamed } from '../arguments.ts';
import type { Command } from '../command.ts';
import { styleOf } from '../format/style.ts';
import type { Session } from '../session.ts';
import { taskHeader } from '../tasks.ts';
import { valueLines, type Wanted, wantedOf } from './struct.ts';

const flags = 'R:dx';

export const task: Command = {
  name: 'task',
  usage: '[-R member[,member]] [-d | -x] [pid | task] ...',
  summary: 'the task_struct of a task',
  help: `  -R   only some of its members
  -d   integers decimal            -x   hexadecimal

  task -R pid,comm,prio 1`,
  *run(session, args) {
    const parsed = parseFlags(args, flags);
    const radix = hasOption(parsed, 'x') ? 16 : hasOption(parsed, 'd') ? 10 : session.settings.radix;
    const style = styleOf(session, radix);
    const members = lastValue(parsed, 'R');
    for (const each of chosen(session, parsed.positionals)) {
      yield taskHeader(each);
      if (members === undefined) {
        yield* valueLines(style, wantedOf(session, 'struct', 'task_struct'), each.address);
        const info = each.object.find('thread_info');
        if (info !== undefined) {
          yield '';
          yield* valueLines(style, { type: info.type, members: [] }, info.address);
        }
      } else
        for (const { wanted, address } of parts(session, each, members))
          yield* valueLines(style, wanted, address);
      yield '';
    }
  },
  json: (session, args) => {
    const parsed = parseFlags(args, flags);
    const members = lastValue(parsed, 'R')?.split(',');
    return chosen(session, parsed.positionals).map(({ address, object }) =>
      members === undefined
        ? { task: address, value: object.value() }
        : {
            task: address,
            value: Object.fromEntries(members.map((name) => [name, object.member(name).value()])),
          },
    );
  },
};

const chosen = (session: Session, words: readonly string[]): KernelTask[] =>
  words.length === 0 ? [session.task] : words.flatMap((word) => tasksNamed(session, word));

/** Members of task_struct, and those that only thread_info has. */
function parts(
  session: Session,
  { object }: KernelTask,
  members: string,
): { wanted: Wanted; address: bigint }[] {
  return members.split(',').map((member) => {
    const info = object.type.place(member) === undefined ? object.find('thread_info') : undefined;
    return info?.type.bare.place(member) === undefined
      ? { wanted: wantedOf(session, 'struct', `task_struct.${member}`), address: object.address }
      : { wanted: { type: info.type, members: [member] }, address: info.address };
  });
}
