import { expect, test } from 'vitest';
import { dis } from '../../../src/crash/commands/dis.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_ffff_8000_0000n;
/** push %rbp; call next; mov 0x10(%rip),%eax; ret; three times nop; then next: ud2. */
const code = Buffer.alloc(4096);
Buffer.from('55 e80a000000 8b0510000000 c3 90 9090 0f0b'.replaceAll(' ', ''), 'hex').copy(code);

const session = () =>
  sessionOf({
    pieces: [{ vaddr: start, bytes: code }],
    symbols: { first: start, _text: start, next: start + 16n, _end: start + BigInt(code.length) },
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
