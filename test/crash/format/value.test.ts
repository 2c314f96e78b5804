import { expect, test } from 'vitest';
import { struct } from '../../../src/crash/commands/struct.ts';
import { declare, layoutLines, memberLayout } from '../../../src/crash/format/declaration.ts';
import { btfKind } from '../../../src/formats/btf.ts';
import { BtfBuilder } from '../../helpers/btf.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_8000_0000_0000n;

function thing(lost?: ReadonlySet<number>) {
  const btf = new BtfBuilder();
  const int = btf.raw(btfKind.int, 'int', 0, 4, [0x0100_0020]);
  const long = btf.int('long unsigned int', 8);
  const char = btf.int('char', 1);
  const pair = btf.struct('pair', 8, [
    ['a', int, 0],
    ['b', int, 32],
  ]);
  const inner = btf.struct('', 8, [['count', long, 0]]);
  btf.struct('thing', 56, [
    ['id', int, 0],
    ['low', int, 32, 3],
    ['name', btf.array(char, 8), 64],
    ['', inner, 128],
    ['next', btf.pointer(char), 192],
    ['state', btf.enum('state', { ONE: 1, TWO: 2 }), 256],
    ['pairs', btf.array(pair, 2), 320],
  ]);
  const bytes = Buffer.alloc(8192);
  const offset = 4096 - 32;
  bytes.writeInt32LE(-7, offset);
  bytes.writeUInt8(0b101, offset + 4);
  bytes.write('a"\n', offset + 8, 'latin1');
  bytes.writeBigUInt64LE(9n, offset + 16);
  bytes.writeBigUInt64LE(start, offset + 24);
  bytes.writeUInt32LE(3, offset + 32);
  bytes.writeInt32LE(4, offset + 40);
  bytes.write('hello\0', 0, 'latin1');
  const session = sessionOf({ pieces: [{ vaddr: start, bytes }], types: btf, ...(lost && { lost }) });
  return { session, at: (start + BigInt(offset)).toString(16) };
}

test('a structure as gdb shows it', () => {
  const { session, at } = thing();
  expect(linesOf(session, struct, `thing ${at}`).join('\n')).toBe(`struct thing {
  id = -7,
  low = -3,
  name = "a\\"\\n\\000\\000\\000\\000",
  {
    count = 9
  },
  next = 0xffff800000000000 "hello",
  state = (ONE | TWO),
  pairs = {{
      a = 4,
      b = 0
    }, {
      a = 0,
      b = 0
    }}
}`);
});

test('what is missing is said in its place', () => {
  const { session, at } = thing(new Set([4096]));
  const lines = linesOf(session, struct, `thing ${at}`);
  expect(lines).toContain('  id = -7,');
  expect(lines).toContain('  state = <excluded>,');
});

test('members alone, in hexadecimal', () => {
  const { session, at } = thing();
  expect(linesOf(session, struct, `-x thing.id,count,pairs ${at}`)).toEqual([
    '  id = 0xfffffff9,',
    '  count = 0x9,',
    '  pairs = {{',
    '      a = 0x4,',
    '      b = 0x0',
    '    }, {',
    '      a = 0x0,',
    '      b = 0x0',
    '    }}',
  ]);
  expect(() => linesOf(session, struct, 'thing.none')).toThrow('thing has no member none');
  expect(() => linesOf(session, struct, 'nothing')).toThrow('invalid data structure reference: nothing');
});

test('layouts, with offsets and addresses', () => {
  const { session } = thing();
  const type = session.kernel.type('struct thing')!;
  expect(layoutLines(type, { offsets: true })).toEqual([
    'struct thing {',
    '   [0] int id;',
    '   [4] int low : 3;',
    '   [8] char name[8];',
    '       struct {',
    '  [16]     unsigned long count;',
    '       };',
    '  [24] char *next;',
    '  [32] enum state state;',
    '  [40] struct pair pairs[2];',
    '}',
    'SIZE: 56',
  ]);
  expect(memberLayout(type, 'pairs[1].b', { base: 0x1000n })).toEqual([
    'struct thing {',
    '  [1034] int b;',
    '}',
  ]);
});

test('declarations', () => {
  const btf = new BtfBuilder();
  const int = btf.raw(btfKind.int, 'int', 0, 4, [0x0100_0020]);
  const handler = btf.pointer(btf.raw(btfKind.funcProto, '', 1, int, [0, int]));
  btf.struct('all', 64, [
    ['handler', handler, 0],
    ['rows', btf.pointer(btf.array(int, 4)), 64],
    ['fixed', btf.raw(btfKind.const, '', 0, btf.pointer(int)), 128],
    ['text', btf.pointer(btf.raw(btfKind.const, '', 0, int)), 192],
    ['any', btf.pointer(0), 256],
  ]);
  const members = sessionOf({ types: btf }).kernel.type('struct all')!.members;
  expect(members.map(({ name, type }) => declare(type, name))).toEqual([
    'int (*handler)(int)',
    'int (*rows)[4]',
    'int * const fixed',
    'const int *text',
    'void *any',
  ]);
});
