import { expect, test } from 'vitest';
import { optionsOf } from '../../../src/crash/command.ts';
import { commands } from '../../../src/crash/commands/index.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const letters = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'];

/** Whether a command takes a letter as an option: what is wrong otherwise does not matter. */
function takes(name: string, letter: string): boolean {
  try {
    const lines = commands.find(name)!.run(sessionOf({}), [`-${letter}`]);
    lines[Symbol.iterator]().next();
  } catch (error) {
    return !/invalid option/.test((error as Error).message);
  }
  return true;
}

/** These take any words, or none at all. */
const withoutOptions = new Set([
  'extend',
  'gdb',
  'wr',
  'help',
  'foreach',
  'ascii',
  'eval',
  'btop',
  'ptob',
  'ptov',
]);

test.each(commands.all.map(({ name }) => name).filter((name) => !withoutOptions.has(name)))(
  'help %s names every option that the command takes',
  (name) => {
    const named = optionsOf(commands.find(name)!);
    const taken = letters.filter((letter) => takes(name, letter)).map((letter) => `-${letter}`);
    // Inside, rd has letters for -8, -16, -32 and -64.
    const own = name === 'rd' ? ['-b', '-h', '-q', '-w'] : [];
    expect(taken.filter((option) => !named.includes(option) && !own.includes(option))).toEqual([]);
  },
);

test('options of a usage', () => {
  expect(optionsOf({ usage: '[-ab] [-8|-64] [-c cpus] words-that-go-on', help: '  -x   -1' })).toEqual([
    '-1',
    '-64',
    '-8',
    '-a',
    '-b',
    '-c',
    '-x',
  ]);
});

test('every page has what it should', () => {
  for (const { name, summary, help } of commands.all) {
    expect(summary.length, name).toBeGreaterThan(5);
    expect(help.length, name).toBeGreaterThan(5);
    for (const line of help.split('\n')) expect(line.length, `${name}: ${line}`).toBeLessThanOrEqual(124);
  }
});

test('pages of commands that there are not', () => {
  expect(() => linesOf(sessionOf({}), commands.find('help')!, 'nosuch')).toThrow('no such command: nosuch');
});
