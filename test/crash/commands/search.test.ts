import { expect, test } from 'vitest';
import { search } from '../../../src/crash/commands/search.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const memory = Buffer.alloc(0x3000);
memory.writeBigUInt64LE(0xdeadbeefn, 0x1008);
memory.writeUInt32LE(0xdeadbeef, 0x2004);
memory.write('some text over a page', 0x1ff8, 'latin1');
const physical = sessionOf({}, memory);

test('words of every width, under a mask', () => {
  expect(linesOf(physical, search, '-p -s 0 -e 3000 deadbeef')).toEqual(['1008: deadbeef']);
  expect(linesOf(physical, search, '-p -s 0 -e 3000 -w deadbeef')).toEqual(['1008: deadbeef']);
  expect(linesOf(physical, search, '-p -s 0 -l 3000 -m ffff dead0000')).toEqual(['1008: deadbeef']);
  expect(linesOf(physical, search, '-p -s 0 -e 1000 deadbeef')).toEqual([]);
});

test('text, from one page into the next', () => {
  const [found] = linesOf(physical, search, '-p -s 0 -e 3000 -c over');
  expect(found).toMatch(/^2002: over a page\.+$/);
});

test('a page that is missing is passed over', () => {
  expect(linesOf(physical, search, '-p -s 0 -e 9000 deadbeef')).toEqual(['1008: deadbeef']);
});

test('what is no value is an error', () => {
  expect(() => linesOf(physical, search, '-p')).toThrow('a value is expected');
  expect(() => linesOf(physical, search, '-p xyz')).toThrow('xyz is no hexadecimal value');
});
