import { expect, test } from 'vitest';
import { p } from '../../../src/crash/commands/p.ts';
import { whatis } from '../../../src/crash/commands/whatis.ts';
import { btfKind } from '../../../src/formats/btf.ts';
import { BtfBuilder } from '../../helpers/btf.ts';
import { words } from '../../helpers/kernel.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_8000_0000_0000n;

function session() {
  const btf = new BtfBuilder();
  btf.raw(btfKind.int, 'int', 0, 4, [0x0100_0020]);
  const list = btf.struct('list_head', 16, [
    ['next', 0, 0],
    ['prev', 0, 64],
  ]);
  const pointer = btf.pointer(list);
  btf.struct('holder', 32, [
    ['head', list, 0],
    ['links', btf.array(pointer, 2), 128],
  ]);
  btf.int('long unsigned int', 8);
  return sessionOf({
    pieces: [{ vaddr: start, bytes: words(start + 16n, 5, start, 7, start + 16n, 9) }],
    symbols: { modules: start, jiffies: start + 40n, strange: start + 8n },
    types: btf,
  });
}

test.each([
  ['jiffies', 'jiffies = $1 = 9'],
  ['1 + 0x10 - 2', '$1 = 15'],
  ['&jiffies', '$1 = 18446603336221196328'],
  ['jiffies - 2', '$1 = 7'],
  ['strange', 'strange = $1 = 0x5 (the 8 bytes at ffff800000000008; its type is not known)'],
  ['&modules', '$1 = (struct list_head *) 0xffff800000000000'],
  ['((struct holder *)&modules)->links[0]', undefined],
  ['*((struct list_head *)modules + 1)', undefined],
])('p %s', (text, expected) => {
  if (expected === undefined) expect(() => linesOf(session(), p, text)).toThrow();
  else expect(linesOf(session(), p, text)).toEqual([expected]);
});

test('errors name what is wrong', () => {
  expect(() => linesOf(session(), p, 'none')).toThrow('this kernel has no symbol none');
  expect(() => linesOf(session(), p, 'strange.next')).toThrow('the type of strange is not known');
  expect(() => linesOf(session(), p, '(jiffies')).toThrow(') is expected');
  expect(() => linesOf(session(), p, 'jiffies jiffies')).toThrow("'jiffies' is not expected there");
  expect(() => linesOf(session(), p, '5.next')).toThrow();
  expect(() => linesOf(session(), p, 'jiffies ? 1')).toThrow("cannot be read from ' ? 1' on");
});

test('whatis', () => {
  expect(linesOf(session(), whatis, 'jiffies')).toEqual(['unsigned long jiffies;']);
  expect(linesOf(session(), whatis, 'unsigned long')).toEqual(['unsigned long', 'SIZE: 8']);
  expect(() => linesOf(session(), whatis, 'nothing')).toThrow('neither a type nor a variable');
});
