import { describe, expect, test } from 'vitest';
import {
  addressOf,
  cpusOf,
  lastOf,
  parseAddress,
  parseFlags,
  tasksNamed,
} from '../../src/crash/arguments.ts';
import { chooseTasks } from '../../src/crash/choose-tasks.ts';
import type { Session } from '../../src/crash/session.ts';

const tasks = [
  { pid: 0, tgid: 0, address: 0xffff_8000_0000_1000n, comm: 'swapper/0' },
  { pid: 16, tgid: 16, address: 0xffff_8000_0000_2000n, comm: 'kworker/0:1' },
  { pid: 22, tgid: 22, address: 0xffff_8000_0000_3000n, comm: 'node' },
];
const session = {
  kernel: {
    tasks,
    cpus: [{ cpu: 0 }, { cpu: 1 }, { cpu: 3 }],
    symbol: (name: string) => (name === 'panic' ? { address: 0x1000n } : undefined),
  },
} as unknown as Session;
const pids = (...words: string[]): unknown[] => chooseTasks(session, words).map(({ pid }) => pid);

describe('arguments', () => {
  test('flags in one word, values beside or behind, in the order given', () => {
    const parsed = parseFlags(['-sx', '-R', 'pid', '1'], 'sxR:');
    expect(parsed.options.map(({ name, value }) => [name, value])).toEqual([
      ['s', undefined],
      ['x', undefined],
      ['R', 'pid'],
    ]);
    expect(parsed.positionals).toEqual(['1']);
    expect(lastOf(parsed, ['s', 'x'])).toBe('x');
    expect(lastOf(parsed, ['q'])).toBeUndefined();
    expect(() => parseFlags(['-z'], 'sx')).toThrow("invalid option -- 'z'");
    expect(() => parseFlags(['-R'], 'R:')).toThrow('requires an argument');
  });

  test('addresses are hexadecimal, symbols come first', () => {
    expect(parseAddress('10')).toBe(16n);
    expect(parseAddress('0xffffffff81000000')).toBe(0xffff_ffff_8100_0000n);
    expect(parseAddress('12345678901234567')).toBeUndefined();
    expect(parseAddress('xyz')).toBeUndefined();
    expect(addressOf(session, 'panic+0x10')).toBe(0x1010n);
    expect(addressOf(session, 'panic-4')).toBe(0xffcn);
    expect(addressOf(session, 'ffff')).toBe(0xffffn);
    expect(() => addressOf(session, 'nowhere')).toThrow('neither an address nor a symbol');
  });

  test('a number is a PID, in decimal first; an address is a task', () => {
    expect(pids('16')).toEqual([16]);
    // No task has the decimal PID, one has the hexadecimal.
    expect(pids('0x16')).toEqual([22]);
    expect(pids('ffff800000003000')).toEqual([22]);
    expect(() => tasksNamed(session, 'node')).toThrow('invalid task or pid value: node');
    expect(() => pids('99')).toThrow('invalid task or pid value: 99');
  });

  test('names, and regular expressions in quotes', () => {
    expect(pids('node', 'swapper/0')).toEqual([22, 0]);
    expect(pids('nosuch')).toEqual([]);
    expect(pids("'^kworker'")).toEqual([16]);
    expect(() => pids("'('")).toThrow('invalid regular expression');
  });

  test('CPUs', () => {
    expect(cpusOf(session, 'a')).toEqual([0, 1, 3]);
    expect(cpusOf(session, '3,0-1')).toEqual([3, 0, 1]);
    expect(() => cpusOf(session, '2')).toThrow('CPU 2 is not among those of the dump: 0,1,3');
    expect(() => cpusOf(session, 'x')).toThrow('invalid cpu specification');
    expect(() => cpusOf(session, '0-99999')).toThrow('CPU 2');
  });
});
