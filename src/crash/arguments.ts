import type { KernelTask } from '../kernel/tasks.ts';
import { KdumpError } from '../lib/errors.ts';
import { getopt, type ParsedArguments } from '../lib/getopt.ts';
import type { Session } from './session.ts';

/**
 * The letters of a command's options, as getopt(3) has them: 'af:' is -a, and -f with a value. `options` keeps the order
 * in which they were given.
 * @throws KdumpError `usage`
 */
export function parseFlags(args: readonly string[], letters: string): ParsedArguments {
  const specs = [...letters.matchAll(/([^:])(:?)/g)].map(([, letter, value]) => ({
    name: letter!,
    long: [],
    short: letter!,
    takesValue: value === ':',
  }));
  return getopt(args, specs);
}

/** The one of several options that was given last; undefined when none was. */
export function lastOf<Name extends string>(
  { options }: ParsedArguments,
  names: readonly Name[],
): Name | undefined {
  return options.findLast(({ name }) => names.includes(name as Name))?.name as Name | undefined;
}

/** An error in the arguments of a command. */
export const usageError = (message: string): KdumpError => new KdumpError('usage', message);

/** An address: hexadecimal, with or without 0x. Undefined when it is none. */
export function parseAddress(text: string): bigint | undefined {
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(text)) return undefined;
  return BigInt(text.toLowerCase().startsWith('0x') ? text : `0x${text}`);
}

/** An address, or a symbol's, with or without `+offset`. @throws KdumpError `no-symbol` */
export function addressOf(session: Session, text: string): bigint {
  const [, name, sign, offset] = /^&?([\w.:$]+?)(?:([+-])(0x[0-9a-f]+|\d+))?$/i.exec(text) ?? [];
  const symbol = name === undefined ? undefined : session.kernel.symbol(name);
  if (symbol !== undefined) {
    const distance = BigInt(offset ?? 0);
    return symbol.address + (sign === '-' ? -distance : distance);
  }
  const address = parseAddress(text);
  if (address !== undefined) return address;
  throw new KdumpError('no-symbol', `${text} is neither an address nor a symbol of this kernel`);
}

/**
 * The tasks that a word means: a PID (decimal, and hexadecimal where that is no PID) or the address of a task_struct.
 * Undefined when there is none such.
 */
export function tasksOf({ kernel }: Session, word: string): KernelTask[] | undefined {
  if (/^\d+$/.test(word)) {
    const found = kernel.tasks.filter(({ pid }) => pid === Number(word));
    if (found.length > 0) return found;
  }
  const value = parseAddress(word);
  if (value === undefined) return undefined;
  const found = kernel.tasks.filter(
    ({ pid, address }) => address === value || BigInt(asNumber(pid)) === value,
  );
  return found.length > 0 ? found : undefined;
}

/** The same, or an error. @throws KdumpError `usage` */
export function tasksNamed(session: Session, word: string): KernelTask[] {
  const tasks = tasksOf(session, word);
  if (tasks === undefined) throw usageError(`invalid task or pid value: ${word}`);
  return tasks;
}

/** CPUs as crash lists them: '1', '0,2', '1-3', 'a' for all. @throws KdumpError `usage` */
export function cpusOf({ kernel }: Session, text: string): number[] {
  const online = kernel.cpus.map(({ cpu }) => cpu);
  if (text === 'a' || text === 'all') return online;
  const wanted = text.split(',').flatMap((part) => {
    const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    if (first === undefined) throw usageError(`invalid cpu specification: ${text}`);
    const from = Number(first);
    return Array.from({ length: Math.max(0, Number(last ?? first) - from + 1) }, (_, i) => from + i);
  });
  const unknown = wanted.find((cpu) => !online.includes(cpu));
  if (unknown !== undefined)
    throw usageError(`CPU ${unknown} is not among those of the dump: ${online.join(',')}`);
  return wanted;
}

const asNumber = (pid: KernelTask['pid']): number => (typeof pid === 'number' ? pid : -1);
