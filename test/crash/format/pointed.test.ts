import { expect, test } from 'vitest';
import { struct } from '../../../src/crash/commands/struct.ts';
import { BtfBuilder } from '../../helpers/btf.ts';
import { words } from '../../helpers/kernel.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_ffff_8000_0000n;
const other = start + 0x100n;

/** A structure of pointers, to what they are told to lead to. */
function thing(next: bigint, text: bigint, call: bigint, lost?: ReadonlySet<number>) {
  const btf = new BtfBuilder();
  const long = btf.int('unsigned long', 8);
  const pair = btf.struct('pair', 16, [
    ['a', long, 0],
    ['b', long, 64],
  ]);
  btf.struct('thing', 40, [
    ['id', long, 0],
    ['next', btf.pointer(pair), 64],
    ['text', btf.pointer(btf.int('char', 1)), 128],
    ['call', btf.pointer(btf.functionType(long, [])), 192],
    ['last', long, 256],
  ]);
  const bytes = Buffer.alloc(0x3000);
  words(7, next, text, call, 9).copy(bytes);
  words(1, 2).copy(bytes, 0x100);
  bytes.write('hello\0', 0x200, 'latin1');
  return sessionOf({
    pieces: [{ vaddr: start, bytes }],
    types: btf,
    symbols: { _text: start, the_pair: other, run: start + 0x300n, _end: start + 0x3000n },
    ...(lost && { lost }),
  });
}

test('pointers with their types and what they lead to', () => {
  const session = thing(other, start + 0x200n, start + 0x300n);
  expect(linesOf(session, struct, `-p thing ${start.toString(16)}`)).toEqual([
    'struct thing {',
    '  id = 7,',
    '  struct pair *next = 0xffffffff80000100',
    '  -> <the_pair> {',
    '       a = 1,',
    '       b = 2',
    '     }',
    '  char *text = 0xffffffff80000200',
    '  -> "hello"',
    '  unsigned long (*call)(void) = 0xffffffff80000300',
    '  -> <run>',
    '  last = 9',
    '}',
  ]);
  expect(linesOf(session, struct, `-p -x thing.text,last ${start.toString(16)}`)).toEqual([
    '  char *text = 0xffffffff80000200',
    '  -> "hello"',
    '  last = 0x9,',
  ]);
});

test('what leads nowhere, or out of the dump, is said', () => {
  const lines = linesOf(thing(0n, 0x1000n, start + 0x301n), struct, `-p thing ${start.toString(16)}`);
  expect(lines.filter((line) => line.startsWith('  ->'))).toEqual([
    '  -> NULL',
    '  -> (not accessible)',
    '  -> (unknown)',
  ]);
  const lost = thing(start + 0x2000n, 0n, 0n, new Set([0x2000]));
  expect(linesOf(lost, struct, `-p thing.next ${start.toString(16)}`).at(-1)).toBe('  -> <excluded>');
});
