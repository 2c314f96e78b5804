import type { Backtrace } from '../../kernel/backtrace.ts';
import { known } from '../../kernel/core.ts';
import { isMissing } from '../../kernel/memory.ts';
import { type StackRange, taskStack } from '../../kernel/stacks.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { hasOption, lastValue, type ParsedArguments } from '../../lib/getopt.ts';
import { cpusOf, parseAddress, parseFlags, tasksNamed, usageError } from '../arguments.ts';
import { backtraceLines } from '../backtrace-text.ts';
import type { Command } from '../command.ts';
import { exceptionFrames } from '../exception-frames.ts';
import { registerLines } from '../registers-text.ts';
import type { Session } from '../session.ts';
import { textSymbolLines, wordLines } from '../stack-text.ts';
import { taskHeader, tasksByPid } from '../tasks.ts';
import { hex, missingText, needsVmlinux } from '../text.ts';

const flags = 'ac:grtTleEfFvpR:sxdn:';
/** What the last word of a kernel stack is set to (STACK_END_MAGIC). */
const stackEnd = 0x57ac_6e9dn;

export const bt: Command = {
  name: 'bt',
  usage:
    '[-a | -c cpus | -g | -p] [-s [-x|-d]] [-l] [-f | -F | -FF] [-r | -t | -T | -e | -E | -v] [-R ref] [pid | task] ...',
  summary: 'the functions that a task was in',
  help: `Of the task of the context, unless others are named. The number in brackets is the place of the return address
on the stack; of a frame that was reached by a guess it says (inexact), and when a trace breaks off it says why.

  -a   of the tasks that were running, one for each CPU      -c 0,2   of those CPUs
  -g   of all threads of the process                         -p       of the task that panicked
  -s   with the distance from the beginning of each function; -x hexadecimal, -d decimal
  -l   with source lines, when a vmlinux with debug information was given
  -f   with the words on the stack; -F with symbols and slab caches in their place, -FF with addresses as well
  -r   the whole stack as it is
  -t   every word on the stack that points into a function; -T from the stack's lowest address on
  -e   what looks like registers that an exception saved     -E       the same on the stacks of CPUs
  -v   tasks whose stack ran over
  -R   only traces in which a symbol or an address occurs
  -n idle   without the idle tasks

  bt 1      bt -a      foreach UN bt`,
  *run(session, args) {
    const parsed = parseFlags(args, flags);
    if (hasOption(parsed, 'v')) yield* overflows(session);
    else if (hasOption(parsed, 'E')) yield* exceptionsOfCpus(session);
    else {
      const skipsIdle = lastValue(parsed, 'n') === 'idle';
      let isFirst = true;
      for (const of of targets(session, parsed)) {
        if (skipsIdle && taskOf(session, of)?.pid === 0) continue;
        const lines = [...traceOf(session, of, parsed)];
        if (!refersTo(session, lines, lastValue(parsed, 'R'))) continue;
        if (!isFirst) yield '';
        isFirst = false;
        yield* lines;
      }
      if (hasOption(parsed, 'l') && session.namelist === undefined) yield `bt: ${needsVmlinux}`;
    }
  },
  json: (session, args) =>
    targets(session, parseFlags(args, flags)).map((of) => {
      const task = taskOf(session, of);
      const { frames, stop } = session.kernel.backtrace(of);
      return {
        ...(task && { pid: task.pid, task: task.address, cpu: task.cpu, comm: task.comm }),
        frames: frames.map(({ ip, sp, slot, place, kind, registers, user, certain, stack }) => ({
          ip,
          sp,
          slot,
          symbol: place?.symbol.name,
          offset: place?.offset,
          module: place?.symbol.module?.name,
          kind,
          registers,
          user,
          certain,
          stack: stack?.name,
        })),
        stop: stop.reason,
      };
    }),
};

type Target = KernelTask | { readonly cpu: number };

function targets(session: Session, parsed: ParsedArguments): Target[] {
  const { kernel } = session;
  const cpus = lastValue(parsed, 'c');
  if (hasOption(parsed, 'a') || cpus !== undefined) {
    const wanted = cpus === undefined ? kernel.cpus.map(({ cpu }) => cpu) : cpusOf(session, cpus);
    return wanted.map((cpu) => ({ cpu }));
  }
  if (hasOption(parsed, 'p')) {
    if (kernel.panicTask === undefined) throw usageError('no task panicked');
    return [kernel.panicTask];
  }
  const named = parsed.positionals;
  const tasks = named.length === 0 ? [session.task] : named.flatMap((word) => tasksNamed(session, word));
  if (!hasOption(parsed, 'g')) return tasks;
  return tasks.flatMap(({ tgid }) => tasksByPid(kernel).filter((task) => task.tgid === tgid));
}

function taskOf({ kernel }: Session, of: Target): KernelTask | undefined {
  if (!('cpu' in of) || 'object' in of) return of as KernelTask;
  const task = kernel.cpus.find(({ cpu }) => cpu === of.cpu)?.task;
  return task === undefined ? undefined : kernel.task(task);
}

function* traceOf(session: Session, of: Target, parsed: ParsedArguments): Generator<string> {
  const { kernel } = session;
  const task = taskOf(session, of);
  yield task === undefined
    ? `CPU: ${(of as { cpu: number }).cpu}  (its task is not known)`
    : taskHeader(task);
  const stack = task && taskStack(kernel.core, task);
  const has = (letter: string): boolean => hasOption(parsed, letter);
  if (has('r') || has('t') || has('T') || has('e')) {
    if (stack === undefined) yield 'bt: the task has no stack any more';
    else if (has('r')) yield* wordLines(session, stack.start, stack.end, 'symbols', ': ', '');
    else if (has('e')) yield* exceptionsOf(session, stack);
    else yield* textSymbols(session, kernel.backtrace(of), stack, has('T'));
    return;
  }
  const words = parsed.options.filter(({ name }) => name === 'F').length;
  const wordStyle = words > 1 ? 'addressed' : words === 1 ? 'named' : 'plain';
  yield* backtraceLines(session, kernel.backtrace(of), {
    offsets: has('s'),
    radix: has('x') ? 16 : has('d') ? 10 : session.settings.radix,
    sourceLines: has('l'),
    between: has('f') || words > 0 ? (start, end) => wordLines(session, start, end, wordStyle) : undefined,
  });
}

/** bt -t and -T: what may be return addresses, and the registers of user mode at the end. */
function* textSymbols(
  session: Session,
  trace: Backtrace,
  stack: StackRange,
  whole: boolean,
): Generator<string> {
  const first = trace.frames[0];
  if (!whole && first?.place !== undefined)
    yield `${'START'.padStart(19)}: ${first.place.symbol.name} at ${hex(first.ip)}`;
  yield* textSymbolLines(session, stack, whole ? stack.start : startOf(trace, stack));
  const user = trace.frames.at(-1);
  if (user?.user === true && user.registers !== undefined) yield* registerLines(user.registers);
}

/** Where the innermost frame on a stack is. */
function startOf({ frames }: Backtrace, stack: StackRange): bigint {
  const slots = frames.map(({ slot, sp }) => slot ?? sp).filter((at) => at >= stack.start && at < stack.end);
  return slots.sort((a, b) => (a < b ? -1 : 1))[0] ?? stack.start;
}

function* exceptionsOf({ kernel }: Session, stack: StackRange): Generator<string> {
  let none = true;
  for (const { address, mode, registers } of exceptionFrames(kernel, stack)) {
    none = false;
    yield '';
    yield `  ${mode}-MODE EXCEPTION FRAME AT: ${hex(address)}`;
    const place = mode === 'USER' ? undefined : kernel.symbolAt(registers.rip);
    if (place !== undefined) yield `    [exception RIP: ${place.symbol.name}+${place.offset}]`;
    yield* registerLines(registers);
  }
  if (none) yield '(none found)';
}

function* exceptionsOfCpus(session: Session): Generator<string> {
  const all = session.kernel.cpus.flatMap(({ cpu }) =>
    session.kernel.stacks(cpu).map((stack) => ({ cpu, stack })),
  );
  for (const kind of ['irq', 'exception'] as const) {
    for (const { cpu, stack } of all.filter((each) => each.stack.kind === kind)) {
      const name = fullNames[stack.name] ?? stack.name;
      yield `CPU ${cpu} ${name}${kind === 'exception' ? ' EXCEPTION' : ''} STACK:`;
      yield* exceptionsOf(session, stack);
      yield '';
    }
  }
}

/** What crash calls the stacks that the kernel names by two letters. */
const fullNames: Readonly<Record<string, string>> = { DF: 'DOUBLEFAULT', DB: 'DEBUG' };

function* overflows({ kernel }: Session): Generator<string> {
  let none = true;
  for (const task of tasksByPid(kernel)) {
    const stack = taskStack(kernel.core, task);
    const word = stack && kernel.core.u64(stack.start);
    if (stack === undefined || word === undefined) continue;
    const isWhole = !isMissing(word) && BigInt.asUintN(32, word) === stackEnd;
    // The first idle task's is part of the image, and was never marked.
    if (isWhole || (task.pid === 0 && known(word) === 0n)) continue;
    none = false;
    yield taskHeader(task);
    yield isMissing(word)
      ? `  the end of its stack cannot be read ${missingText(word)}`
      : `  possible stack overflow: ${hex(stack.start)} holds ${hex(word)} instead of STACK_END_MAGIC`;
  }
  if (none) yield 'No stack overflows detected';
}

/** Whether lines of a trace name a symbol or an address. */
function refersTo(session: Session, lines: readonly string[], reference: string | undefined): boolean {
  if (reference === undefined) return true;
  const address = session.kernel.symbol(reference) === undefined ? parseAddress(reference) : undefined;
  const text =
    address === undefined
      ? new RegExp(`(^|[^\\w.])${escaped(reference)}($|[^\\w.])`)
      : new RegExp(hex(address));
  return lines.some((line) => text.test(line));
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
