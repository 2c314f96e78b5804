import { KdumpError } from '../../lib/errors.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { parseFlags, tasksNamed, usageError } from '../arguments.ts';
import { taskFields } from '../banner.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';

export const set: Command = {
  name: 'set',
  usage: '[pid | task | -c cpu | -p] | [radix 10|16] | -v',
  summary: 'the task that commands are about when nothing else is said',
  help: `Without arguments it shows that task; at first it is the one that panicked.

  set 1           the task of a PID, or at an address
  set -c 1        the task that was running on a CPU
  set -p          the one that panicked again
  set radix 16    integers are shown hexadecimal; hex and dec do the same
  set -v          what is set`,
  *run(session, args) {
    const given = args[0] === 'cpu' ? ['-c', ...args.slice(1)] : args;
    // A CPU that is not named is the one of the context.
    const parsed = parseFlags(given.length === 1 && given[0] === '-c' ? [] : given, 'c:pv');
    const cpu = lastValue(parsed, 'c');
    const [first, second, ...rest] = parsed.positionals;
    if (rest.length > 0) throw usageError(`too many arguments: ${rest.join(' ')}`);
    if (hasOption(parsed, 'v')) {
      yield* settingLines(session);
      return;
    }
    if (cpu !== undefined) session.task = taskOfCpu(session, cpu);
    else if (hasOption(parsed, 'p')) session.task = panicked(session);
    else if (first === 'radix' || first === 'hex' || first === 'dec') {
      yield radix(session, first === 'hex' ? '16' : first === 'dec' ? '10' : second);
      return;
    } else if (first !== undefined && unknownSettings.has(first)) {
      yield `set: ${first} has no meaning here`;
      return;
    } else if (first === 'task' && second !== undefined) session.task = tasksNamed(session, second)[0]!;
    else if (first !== undefined) session.task = tasksNamed(session, first)[0]!;
    for (const [name, text] of taskFields(session)) yield `${name.padStart(7)}: ${text}`;
  },
};

function taskOfCpu({ kernel }: Session, text: string) {
  const state = /^\d+$/.test(text) ? kernel.cpus.find(({ cpu }) => cpu === Number(text)) : undefined;
  if (state === undefined) throw usageError(`invalid cpu number: system has only ${kernel.cpus.length} cpus`);
  if (state.task === undefined) throw new KdumpError('no-tasks', `the task of CPU ${text} is not known`);
  return kernel.task(state.task);
}

function panicked({ kernel }: Session) {
  if (kernel.panicTask === undefined) throw new KdumpError('no-tasks', 'no task panicked');
  return kernel.panicTask;
}

function radix({ settings }: Session, text: string | undefined): string {
  if (text !== undefined && text !== '10' && text !== '16') throw usageError('the radix is 10 or 16');
  if (text !== undefined) settings.radix = text === '16' ? 16 : 10;
  return `output radix: ${settings.radix} (${settings.radix === 16 ? 'hex' : 'decimal'})`;
}

/** What crash can set, and nothing here depends on. */
const unknownSettings = new Set([
  'scroll',
  'refresh',
  'print_max',
  'print_array',
  'console',
  'debug',
  'core',
  'hash',
  'silent',
  'edit',
  'unwind',
  'zero_excluded',
  'null-stop',
  'gdb',
  'scope',
  'offline',
  'redzone',
  'error',
]);

function* settingLines({ settings, namelist, dump }: Session): Generator<string> {
  yield `        radix: ${settings.radix} (${settings.radix === 16 ? 'hex' : 'decimal'})`;
  yield `     namelist: ${namelist?.path ?? '(in dump)'}`;
  yield `     dumpfile: ${dump.paths.join(' ')}`;
}
