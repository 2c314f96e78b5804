import { declaredType } from '../../kernel/known-globals.ts';
import { isMissing } from '../../kernel/memory.ts';
import { KernelObject } from '../../kernel/object.ts';
import { hasOption } from '../../lib/getopt.ts';
import { cpusOf, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { declare } from '../format/declaration.ts';
import { evaluate, typeOfSymbol } from '../format/expression.ts';
import { styleOf } from '../format/style.ts';
import { castOf, printScalar, printValue, type ValueStyle } from '../format/value.ts';
import type { Session } from '../session.ts';
import { hex, missingText } from '../text.ts';

/** The number of the next value of a session: gdb's history, of which only the numbers are kept. */
const history = new WeakMap<object, number>();

export const p: Command = {
  name: 'p',
  aliases: ['print'],
  usage: '[-x|-d] [expression | symbol[:cpus]]',
  summary: 'the value of a variable or an expression',
  help: [
    'Expressions: symbols, numbers, members, elements, * and &, casts, + and -.',
    'p symbol:cpus   a per-CPU variable on each of these CPUs; a for all',
    'p jiffies       p init_task.comm       p *(struct list_head *)&modules',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args.map(protectedMinus), 'xd');
    const radix = hasOption(parsed, 'x') ? 16 : hasOption(parsed, 'd') ? 10 : session.settings.radix;
    const text = withoutPrefix(session, parsed.positionals.join(' ').trim());
    if (text === '') throw usageError('p: an expression is expected');
    const style = styleOf(session, radix);
    const [, symbol, cpus] = /^(\w+):([\w,-]+)$/.exec(text) ?? [];
    if (symbol !== undefined) yield* onCpus(session, style, symbol, cpus!);
    else if (isPerCpu(session, text)) yield* perCpu(session, text);
    else yield* expression(session, style, text);
  },
};

/** Before 2.6.34 the names of per-CPU variables began with per_cpu__, and are written so still. */
export const withoutPrefix = ({ kernel }: Session, text: string): string =>
  kernel.symbol(text) === undefined ? text.replace(/^per_cpu__(?=\w)/, '') : text;

/** -1 is a number. */
const protectedMinus = (word: string): string => (/^-\d/.test(word) ? `(${word})` : word);

function nextNumber({ kernel }: Session): number {
  const number = (history.get(kernel) ?? 0) + 1;
  history.set(kernel, number);
  return number;
}

function* expression(session: Session, style: ValueStyle, text: string): Generator<string> {
  const operand = evaluate(session, text);
  if (operand.kind === 'symbol') {
    // Without a type there is the word that lies there, and it is said that this is all.
    const word = session.kernel.core.u64(operand.address);
    const value = isMissing(word) ? missingText(word) : `0x${word.toString(16)}`;
    yield `${text} = $${nextNumber(session)} = ${value} (the 8 bytes at ${hex(operand.address)}; its type is not known)`;
    return;
  }
  const name = /^\w+$/.test(text) && operand.kind === 'object' ? `${text} = ` : '';
  yield* `${name}$${nextNumber(session)} = ${operandText(style, operand)}`.split('\n');
}

function operandText(
  style: ValueStyle,
  operand: ReturnType<typeof evaluate> & { kind: 'object' | 'number' },
): string {
  if (operand.kind === 'object') return objectValue(style, operand.object);
  if (operand.type !== undefined) return printScalar(style, operand.type, operand.value);
  return style.radix === 16
    ? `0x${BigInt.asUintN(64, operand.value).toString(16)}`
    : operand.value.toString();
}

function objectValue(style: ValueStyle, object: KernelObject): string {
  return castOf(object.type) + printValue(style, object.type, object.address, object.bitField);
}

function isPerCpu({ kernel }: Session, name: string): boolean {
  const address = /^\w+$/.test(name) ? kernel.symbol(name)?.address : undefined;
  if (address === undefined) return false;
  const [start, end] = ['__per_cpu_start', '__per_cpu_end'].map((each) => kernel.symbol(each)?.address);
  const isInside = start !== undefined && end !== undefined && address >= start && address < end;
  return kernel.typeOf(name) !== undefined || (isInside && declaredType(name) !== undefined);
}

function* perCpu(session: Session, name: string): Generator<string> {
  yield 'PER-CPU DATA TYPE:';
  yield `  ${declare(typeOfSymbol(session, name)!, name)};`;
  yield 'PER-CPU ADDRESSES:';
  for (const { cpu } of session.kernel.cpus) {
    const address = session.kernel.perCpu(name, cpu);
    if (address !== undefined)
      yield `  [${cpu}]: ${isMissing(address) ? missingText(address) : hex(address)}`;
  }
}

function* onCpus(session: Session, style: ValueStyle, name: string, cpus: string): Generator<string> {
  const type = typeOfSymbol(session, name);
  if (type === undefined || session.kernel.symbol(name) === undefined)
    throw usageError(`p: ${name} is no per-CPU variable that the types describe`);
  for (const cpu of cpusOf(session, cpus)) {
    const address = session.kernel.perCpu(name, cpu);
    const value =
      address === undefined || isMissing(address)
        ? missingText(address ?? { missing: 'unmapped', address: '' })
        : objectValue(style, new KernelObject(session.kernel.core.memory, type, address));
    yield* `per_cpu(${name}, ${cpu}) = $${nextNumber(session)} = ${value}`.split('\n');
  }
}
