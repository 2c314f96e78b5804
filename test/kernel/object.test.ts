import { expect, test } from 'vitest';
import { btfKind } from '../../src/formats/btf.ts';
import type { KernelCore } from '../../src/kernel/core.ts';
import { readText } from '../../src/kernel/object.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeCore } from '../helpers/kernel.ts';

const start = 0xffff_8000_0000_0000n;

/** A structure at the end of a page, so that its second half is on the next one. */
function sample(lost?: ReadonlySet<number>): { core: KernelCore; at: bigint } {
  const btf = new BtfBuilder();
  const int = btf.raw(btfKind.int, 'int', 0, 4, [0x0100_0020]);
  const long = btf.int('unsigned long', 8);
  const char = btf.int('char', 1);
  const inner = btf.struct('', 8, [['count', long, 0]]);
  btf.struct('thing', 40, [
    ['id', int, 0],
    ['low', int, 32, 3],
    ['high', int, 35, 5],
    ['name', btf.array(char, 8), 64],
    ['', inner, 128],
    ['next', btf.pointer(char), 192],
    ['state', btf.enum('state', { ASLEEP: 1 }), 256],
  ]);
  const bytes = Buffer.alloc(8192);
  const offset = 4096 - 16;
  bytes.writeInt32LE(-7, offset);
  bytes.writeUInt8(0b10111_101, offset + 4);
  bytes.write('node\0xyz', offset + 8, 'latin1');
  bytes.writeBigUInt64LE(2n ** 63n, offset + 16);
  bytes.writeBigUInt64LE(start, offset + 24);
  bytes.writeUInt32LE(1, offset + 32);
  bytes.write('hello\0', 0, 'latin1');
  const core = fakeCore({ pieces: [{ vaddr: start, bytes }], types: btf, ...(lost && { lost }) });
  return { core, at: start + BigInt(offset) };
}

test('a structure as plain values', () => {
  const { core, at } = sample();
  expect(core.object('thing', at).value()).toEqual({
    id: -7,
    low: -3,
    high: -9,
    name: 'node',
    count: 2n ** 63n,
    next: start,
    state: 'ASLEEP',
  });
});

test('what is on a page that is missing is missing in its place', () => {
  const { core, at } = sample(new Set([4096]));
  expect(core.object('thing', at).value()).toMatchObject({
    id: -7,
    name: 'node',
    count: { missing: 'excluded' },
    state: { missing: 'excluded' },
  });
});

test('members, pointers and text', () => {
  const { core, at } = sample();
  const thing = core.object('thing', at);
  expect(thing.member('none', 'count').integer()).toBe(2n ** 63n);
  expect(thing.member('low').number()).toBe(-3);
  expect(thing.member('next').text()).toBe('hello');
  expect(thing.follow('next')).toMatchObject({ address: at + 24n });
  expect(thing.find('none')).toBeUndefined();
  expect(() => thing.member('none')).toThrow('thing has no member none in this kernel');
  expect(() => core.object('other', at)).toThrow('do not have other');
  expect(
    core
      .object('thing', start + 8192n)
      .member('id')
      .integer(),
  ).toMatchObject({ missing: 'unmapped' });
});

test('a text ends where the memory does', () => {
  const { core } = sample(new Set([4096]));
  expect(readText(core.memory, start + 4096n - 8n)).toBe('node');
  expect(readText(core.memory, start + 4096n)).toMatchObject({ missing: 'excluded' });
});
