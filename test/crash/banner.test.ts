import { expect, test } from 'vitest';
import { durationText, sizeText } from '../../src/crash/banner.ts';
import { panicMessage } from '../../src/crash/facts.ts';
import { centred } from '../../src/crash/text.ts';

test('durations and sizes as crash writes them', () => {
  expect(durationText(482)).toBe('00:08:02');
  expect(durationText(7 * 86_400 + 6 * 3600 + 37 * 60 + 46.9)).toBe('7 days, 06:37:46');
  expect(durationText(86_400)).toBe('1 day, 00:00:00');
  expect(sizeText(48 * 2 ** 30)).toBe('48 GB');
  expect(sizeText(511.5 * 2 ** 20)).toBe('511.5 MB');
  expect(sizeText(2.04 * 2 ** 30)).toBe('2 GB');
  expect(sizeText(640 * 1024)).toBe('640 KB');
  expect(centred('BASE', 9)).toBe('  BASE   ');
});

const logOf = (...lines: readonly string[]) =>
  lines.map((line, i) => ({
    sequence: BigInt(i),
    timestamp: 0n,
    caller: undefined,
    text: Buffer.from(line),
  }));

test('what a kernel died of', () => {
  expect(
    panicMessage(
      logOf('Linux version', 'sysrq: Trigger a crash', 'Kernel panic - not syncing: sysrq triggered crash'),
    ),
  ).toBe('Kernel panic - not syncing: sysrq triggered crash');
  // The panic that an oops ends in says less than the oops.
  expect(
    panicMessage(
      logOf(
        'BUG: kernel NULL pointer dereference, address: 00000000000000e8',
        '#PF: supervisor read access in kernel mode',
        'Oops: 0000 [#1] PREEMPT SMP NOPTI',
        'CPU: 0 PID: 1 Comm: init',
        'Kernel panic - not syncing: Fatal exception',
      ),
    ),
  ).toBe('BUG: kernel NULL pointer dereference, address: 00000000000000e8');
  // An oops that the kernel survived is not what it died of.
  expect(
    panicMessage(
      logOf(
        'kernel BUG at mm/slub.c:1!',
        'invalid opcode: 0000 [#1] SMP',
        'Kernel panic - not syncing: hung_task: blocked tasks',
      ),
    ),
  ).toBe('Kernel panic - not syncing: hung_task: blocked tasks');
  expect(
    panicMessage(logOf('Oops: 0002 [#1] SMP', 'Kernel panic - not syncing: Fatal exception in interrupt')),
  ).toBe('Oops: 0002 [#1] SMP');
  expect(panicMessage(logOf('all is well'))).toBeUndefined();
});
