import { expect, test } from 'vitest';
import type { PrintkRecord } from '../../src/kernel/printk.ts';
import { formatPlain, formatPrintk } from '../../src/kernel/printk-text.ts';

const record = (text: string | undefined, change: Partial<PrintkRecord> = {}): PrintkRecord => ({
  sequence: 0n,
  timestamp: 9_750_948_983n,
  caller: 0x8000_0001,
  text: text === undefined ? undefined : Buffer.from(text, 'latin1'),
  ...change,
});

test('as makedumpfile writes it: callers, and lines under each other', () => {
  expect(
    formatPrintk([
      record('one\ntwo'),
      record('t\xe9xt', { caller: 7 }),
      record(undefined, { caller: undefined }),
    ]),
  ).toBe(
    [
      '[    9.750948] [      C1] one',
      `${' '.repeat(26)}two`,
      '[    9.750948] [      T7] t\\xe9xt',
      '[    9.750948] <lost>',
      '',
    ].join('\n'),
  );
});

test('as vmcore-dmesg writes it: neither', () => {
  expect(formatPlain([record('one\ntwo'), record('\x1b[0m')])).toBe(
    '[    9.750948] one\ntwo\n[    9.750948] \\x1b[0m\n',
  );
});
