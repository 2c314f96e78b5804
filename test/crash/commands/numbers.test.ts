import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ascii } from '../../../src/crash/commands/ascii.ts';
import { btop, ptob } from '../../../src/crash/commands/btop.ts';
import { arithmetic, evaluate } from '../../../src/crash/commands/eval.ts';
import { rangesOf } from '../../../src/crash/commands/irq.ts';
import { ipv4Text, ipv6Text } from '../../../src/kernel/network.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const nothing = (): undefined => undefined;

test('arithmetic as C has it', () => {
  expect(arithmetic('1 + 2 * 3', nothing)).toBe(7n);
  expect(arithmetic('(1 + 2) * 3', nothing)).toBe(9n);
  expect(arithmetic('1 << 4 | 3', nothing)).toBe(19n);
  expect(arithmetic('~0', nothing)).toBe(2n ** 64n - 1n);
  expect(arithmetic('128m', nothing)).toBe(2n ** 27n);
  expect(arithmetic('ffff', nothing)).toBe(65_535n);
  expect(arithmetic('here + 1', (name) => (name === 'here' ? 41n : undefined))).toBe(42n);
  expect(() => arithmetic('1 / 0', nothing)).toThrow('division by zero');
  expect(() => arithmetic('(1', nothing)).toThrow('a bracket is not closed');
  expect(() => arithmetic('1 2', nothing)).toThrow('2 is not expected there');
});

test('eval shows a number in every base', () => {
  const lines = linesOf(sessionOf({}), evaluate, '-b 0x41dc');
  expect(lines[0]).toBe('hexadecimal: 41dc  ');
  expect(lines[4]).toBe('   bits set: 14 8 7 6 4 3 2 ');
});

test('pages and bytes', () => {
  expect(linesOf(sessionOf({}), btop, '512a000')).toEqual(['512a000: 512a']);
  expect(linesOf(sessionOf({}), ptob, '512a')).toEqual(['512a: 512a000']);
  expect(() => linesOf(sessionOf({}), btop, 'pages')).toThrow('no hexadecimal value');
});

test('ascii', () => {
  expect(linesOf(sessionOf({}), ascii, '62696c2f7273752f')).toEqual(['62696c2f7273752f: /usr/lib']);
  expect(linesOf(sessionOf({}), ascii, '')).toHaveLength(20);
});

test('ranges of CPUs hold the same CPUs', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(64)), (some) => {
      const cpus = some.sort((a, b) => a - b);
      const back = rangesOf(cpus)
        .split(',')
        .filter((part) => part !== '')
        .flatMap((part) => {
          const [first, last = first] = part.split('-').map(Number);
          return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
        });
      expect(back).toEqual(cpus);
    }),
  );
});

test('addresses of the internet', () => {
  expect(ipv4Text(0x0100_007f)).toBe('127.0.0.1');
  const of = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');
  expect(ipv6Text(of('0000 0000 0000 0000 0000 0000 0000 0001'))).toBe('::1');
  expect(ipv6Text(of('fe80 0000 0000 0000 0001 0000 0000 0002'))).toBe('fe80::1:0:0:2');
  expect(ipv6Text(of('2001 0db8 0001 0002 0003 0004 0005 0006'))).toBe('2001:db8:1:2:3:4:5:6');
  expect(ipv6Text(of('fe80 0000 0000 0000 0000 0000 0000 0000'))).toBe('fe80::');
});
