import { expect, test } from 'vitest';
import { dis } from '../../../src/crash/commands/dis.ts';
import type { Namelist } from '../../../src/crash/session.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_ffff_8000_0000n;
/** push %rbp; call next; mov 0x10(%rip),%eax; ret; three times nop; then next: ud2. */
const code = Buffer.alloc(4096);
Buffer.from('55 e80a000000 8b0510000000 c3 90 9090 0f0b'.replaceAll(' ', ''), 'hex').copy(code);

const session = (namelist?: Namelist) =>
  sessionOf(
    {
      pieces: [{ vaddr: start, bytes: code }],
      symbols: { first: start, _text: start, next: start + 16n, _end: start + BigInt(code.length) },
    },
    undefined,
    { namelist },
  );

/** Lines 10 and 11 of a file are the first function, line 20 the second one. */
const namelist = (text?: string): Namelist => ({
  path: 'vmlinux',
  sourceLine: (address) => `kernel/a.c: ${address < start + 6n ? 10 : address < start + 16n ? 11 : 20}`,
  sourceText: () => text,
});

test('a function, without what fills the room behind it', async () => {
  await dis.prepare!();
  expect(linesOf(session(), dis, 'next')[0]).toBe('0xffffffff80000010 <next>:\tud2');
  const lines = linesOf(session(), dis, 'first');
  expect(lines.map((line) => line.split('\t')[1])).toEqual([
    'push   %rbp',
    'call   0xffffffff80000010 <next>',
    'mov    0x10(%rip),%eax        # 0xffffffff8000001c <next+12>',
    'ret',
  ]);
});

test('an address is one instruction; -r goes up to it; a count goes on', async () => {
  await dis.prepare!();
  expect(linesOf(session(), dis, 'ffffffff80000001')).toEqual([
    '0xffffffff80000001 <first+1>:\tcall   0xffffffff80000010 <next>',
  ]);
  expect(linesOf(session(), dis, '-r first+1')).toHaveLength(2);
  expect(linesOf(session(), dis, '-x first 2')[1]).toContain('<first+0x1>');
});

test('code that is not in the dump is said', async () => {
  await dis.prepare!();
  expect(linesOf(session(), dis, 'ffffffff90000000')).toEqual(['0xffffffff90000000:\t<unmapped>']);
});

test('-l: a line where it changes, in front of the first instruction, too', async () => {
  await dis.prepare!();
  const lines = linesOf(session(namelist()), dis, '-l first');
  expect(lines.map((line) => line.split('\t')[0])).toEqual([
    'kernel/a.c: 10',
    '0xffffffff80000000 <first>:',
    '0xffffffff80000001 <first+1>:',
    'kernel/a.c: 11',
    '0xffffffff80000006 <first+6>:',
    '0xffffffff8000000c <first+12>:',
  ]);
  expect(linesOf(session(), dis, '-l next 1').at(-1)).toContain('crash VMLINUX DUMP');
});

test('-s: file and line, and the source of the function where it is there', () => {
  const source = Array.from({ length: 30 }, (_, i) => (i === 14 ? '}' : `text of ${i + 1}`)).join('\n');
  const lines = linesOf(session(namelist(source)), dis, '-s first');
  expect(lines.slice(0, 4)).toEqual(['FILE: kernel/a.c', 'LINE: 10', '', '   5 text of 5']);
  expect(lines).toContain('* 10 text of 10');
  expect(lines.at(-1)).toBe('  15 }');
  expect(linesOf(session(namelist(source)), dis, '-s first 2').at(-1)).toBe('  12 text of 12');
  expect(linesOf(session(namelist()), dis, '-s first').at(-1)).toBe(
    'dis: first: source code is not available',
  );
});

test('-s: what it cannot tell, and why', () => {
  expect(() => linesOf(session(), dis, '-s first')).toThrow('crash VMLINUX DUMP');
  expect(() => linesOf(session(namelist()), dis, '-s ffffffff90000000')).toThrow(
    "not an address of the kernel's code",
  );
});
