import { expect, test } from 'vitest';
import { list } from '../../../src/crash/commands/list.ts';
import { words } from '../../helpers/kernel.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_8000_0000_0000n;
const at = (index: number): string => (start + BigInt(index * 16)).toString(16);

/** List heads that lead to each other by their indices; undefined leads out of the dump. */
function chain(...next: readonly (number | undefined)[]) {
  const link = (to: number | undefined): bigint =>
    to === undefined ? 0xffff_9000_0000_0000n : start + BigInt(to * 16);
  const links = next.flatMap((to, i) => [link(to), link(next.indexOf(i))]);
  return sessionOf({ pieces: [{ vaddr: start, bytes: words(...links) }] });
}

test('a list, from its head and from an entry, forwards and backwards', () => {
  const session = chain(1, 2, 0);
  expect(linesOf(session, list, at(0))).toEqual([at(0), at(1), at(2)]);
  expect(linesOf(session, list, `-H ${at(0)}`)).toEqual([at(1), at(2)]);
  expect(linesOf(session, list, `-r -H ${at(0)}`)).toEqual([at(2), at(1)]);
  expect(linesOf(session, list, `-o 8 -h ${(start - 8n).toString(16)}`)[0]).toBe((start - 8n).toString(16));
});

test('an empty list says so', () => {
  expect(linesOf(chain(0), list, `-H ${at(0)}`)).toEqual(['(empty)']);
});

test('a circle without its head ends, and is said', () => {
  const lines = linesOf(chain(1, 2, 1), list, `-H ${at(0)}`);
  expect(lines.slice(0, 2)).toEqual([at(1), at(2)]);
  expect(lines[2]).toContain('the list is a circle without its head');
});

test('a link that leads out of the dump ends it, and is said', () => {
  const lines = linesOf(chain(1, undefined), list, `-H ${at(0)}`);
  expect(lines[0]).toBe(at(1));
  expect(lines[1]).toContain('leads to ffff900000000000, which is not in the dump');
});

test('a function is no list: gdb shows source there', () => {
  const session = sessionOf({ symbols: { _stext: start, panic: start + 16n, _etext: start + 32n } });
  expect(() => linesOf(session, list, 'panic')).toThrow('dis -s panic its source');
});
