import { expect, test } from 'vitest';
import { complete } from '../../src/cli/crash/interactive.ts';
import { Shell } from '../../src/cli/crash/shell.ts';
import { commands } from '../../src/crash/commands/index.ts';
import { Session } from '../../src/crash/session.ts';
import { openKernel } from '../../src/kernel/kernel.ts';
import { sessionOf } from '../crash/session-of.ts';
import { fakeKernelMemory } from '../helpers/kernel.ts';

const session = new Session({
  kernel: openKernel(fakeKernelMemory({ symbols: { panic: 1n, panic_on_oops: 2n, jiffies: 3n } })),
  commands,
  dump: sessionOf({}).dump,
});
const shell = new Shell(session, false);
const offered = (line: string): string[] => complete(session, shell, line)[0];

test('commands in the first place, symbols after it', () => {
  expect(offered('sear')).toEqual(['search']);
  expect(offered('dis pan')).toEqual(['panic', 'panic_on_oops']);
  expect(offered('help kme')).toEqual(['kmem']);
});

test('options of the command, or of what its alias stands for', () => {
  expect(offered('kmem -')).toEqual(expect.arrayContaining(['-S', '-f', '-i', '-n']));
  expect(offered('rd -6')).toEqual(['-64']);
  expect(offered('last -')).toEqual(expect.arrayContaining(['-l', '-t']));
  expect(offered('nosuch -')).toEqual([]);
});
