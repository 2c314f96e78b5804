import { describe, expect, test } from 'vitest';
import { Btf, btfKind } from '../../src/formats/btf.ts';
import { findType, typeOfVariable } from '../../src/kernel/ctype.ts';
import { BtfBuilder } from '../helpers/btf.ts';

/** A task with what types can have: nested, anonymous and bit-field members, arrays, an enum, a typedef. */
function sample(): Btf {
  const btf = new BtfBuilder();
  const int = btf.raw(btfKind.int, 'int', 0, 4, [0x0100_0020]);
  const long = btf.int('unsigned long', 8);
  const char = btf.int('char', 1);
  const pid = btf.link(btfKind.typedef, 'pid_t', int);
  const state = btf.enum('state', { RUNNING: 0, DEAD: 0xffff_ffff }, true);
  const inner = btf.struct('', 16, [
    ['sp', long, 0],
    ['flags', long, 64],
  ]);
  const either = btf.union('', 16, [
    ['raw', long, 0],
    ['', inner, 0],
  ]);
  const thread = btf.struct('thread', 24, [
    ['cpu', int, 0],
    ['saved', btf.array(long, 2), 64],
  ]);
  const task = btf.struct('task', 96, [
    ['pid', pid, 0],
    ['comm', btf.array(char, 16), 32],
    ['', either, 192],
    ['thread', thread, 320],
    ['low', int, 512, 3],
    ['high', int, 515, 5],
    ['state', state, 544],
  ]);
  btf.variable('current_task', btf.pointer(task));
  btf.functionType(int, [['task', btf.pointer(task)]]);
  return new Btf(btf.bytes(), 'test');
}

describe('types', () => {
  const btf = sample();
  const task = findType(btf, 'struct task')!;

  test('are found by name, with their tag or without, typedefs too', () => {
    expect(task.kind).toBe('struct');
    expect(task.size).toBe(96);
    expect(findType(btf, 'task')!.id).toBe(task.id);
    expect(findType(btf, 'pid_t')).toMatchObject({ kind: 'typedef', size: 4 });
    expect(findType(btf, 'pid_t')!.bare).toMatchObject({ kind: 'integer', name: 'int', signed: true });
    expect(findType(btf, 'union task')).toBeUndefined();
    expect(findType(btf, 'unsigned long')!.signed).toBe(false);
    expect(typeOfVariable(btf, 'current_task')!.target!.name).toBe('task');
  });

  test('tell where members are: anonymous ones, elements of arrays, bit-fields', () => {
    expect(task.members.map(({ name }) => name)).toEqual([
      'pid',
      'comm',
      '',
      'thread',
      'low',
      'high',
      'state',
    ]);
    expect(task.place('flags')).toMatchObject({ offset: 32 });
    expect(task.place('thread.saved[1]')).toMatchObject({ offset: 40 + 8 + 8 });
    expect(task.place('high')).toMatchObject({ offset: 64, bitField: { shift: 3, bits: 5 } });
    expect(task.place('thread.none')).toBeUndefined();
    expect(task.place('pid.x')).toBeUndefined();
  });

  test('tell the constants of an enum', () => {
    expect(task.place('state')!.type.enumerators).toEqual([
      { name: 'RUNNING', value: 0n },
      { name: 'DEAD', value: -1n },
    ]);
  });
});

test('the types of a module go on where those of the kernel end', () => {
  const base = sample();
  const own = new BtfBuilder();
  // Ids and offsets of names count from the end of the base.
  const first = own.struct('device', 16, [['owner', findType(base, 'task')!.id, 0]]);
  const bytes = own.bytes();
  const typeBytes = bytes.readUInt32LE(12);
  const names = 24;
  for (const at of [names, names + 12]) bytes.writeUInt32LE(bytes.readUInt32LE(at) + base.stringEnd, at);
  const module = new Btf(bytes, 'module', base);
  expect(typeBytes).toBe(24);
  const device = findType(module, 'device')!;
  expect(device.id).toBe(base.length + first - 1);
  expect(device.place('owner.thread.cpu')).toMatchObject({ offset: 40 });
  expect(findType(module, 'pid_t')!.size).toBe(4);
  expect(findType(base, 'device')).toBeUndefined();
  expect(module.enumerator('DEAD')).toBe(-1n);
  expect(module.length).toBe(base.length + 1);
});
