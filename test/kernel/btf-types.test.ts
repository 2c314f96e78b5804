import { expect, test } from 'vitest';
import { btfKind } from '../../src/formats/btf.ts';
import { typesOfBtf } from '../../src/kernel/btf-types.ts';
import { BtfBuilder } from '../helpers/btf.ts';

function build(): BtfBuilder {
  const b = new BtfBuilder();
  const long = b.int('long unsigned int', 8);
  const char = b.int('char', 1);
  const memdesc = b.struct('', 8, [['f', long, 0]]);
  const flags = b.link(btfKind.typedef, 'memdesc_flags_t', memdesc);
  const declared = b.forward('address_space');
  const mapping = b.pointer(declared);
  const part = b.struct('', 16, [
    ['mapping', mapping, 0],
    ['private', long, 64],
  ]);
  const union = b.union('', 16, [['', part, 0]]);
  const page = b.struct('page', 64, [
    ['flags', flags, 0],
    ['', union, 128],
  ]);
  const name = b.array(char, 16);
  b.struct('holder', 96, [
    ['page', page, 0],
    ['name', name, 512],
    ['next', b.pointer(0), 640],
    ['call', b.pointer(b.functionType(0, [])), 704],
  ]);
  b.struct('twice', 8, [['same', long, 0]]);
  b.struct('twice', 16, [
    ['same', long, 0],
    ['differs', long, 64],
    ['only', long, 64],
  ]);
  b.struct('twice', 16, [['differs', long, 0]]);
  b.link(btfKind.typedef, 'twice', long);
  b.link(btfKind.typedef, 'opaque_t', declared);
  const variable = b.variable('this_cpu_page', page);
  b.dataSection('.data..percpu', [[variable, 0, 64]]);
  b.struct('this_cpu_page', 4, []);
  b.enum('zone_type', { ZONE_DMA: 0, ZONE_NORMAL: 2 });
  return b;
}

const types = typesOfBtf(build().bytes(), 'test');

test('types by name', () => {
  expect(types.find('page')).toEqual({ kind: 'struct', name: 'page', size: 64 });
  expect(types.find('memdesc_flags_t')).toEqual({ kind: 'struct', name: '', size: 8 });
  expect(types.find('long unsigned int')).toEqual({ kind: 'integer', name: 'long unsigned int', size: 8 });
  expect(types.find('zone_type')).toEqual({ kind: 'enum', name: 'zone_type', size: 4 });
  expect(types.find('nothing')).toBeUndefined();
});

test('what is only declared is no type', () => {
  expect(types.find('address_space')).toBeUndefined();
  expect(types.find('opaque_t')).toBeUndefined();
});

test('members by path, through anonymous and embedded ones', () => {
  expect(types.member('page', 'flags')).toMatchObject({ offset: 0, type: { kind: 'struct' } });
  expect(types.member('page', 'flags.f')).toMatchObject({ offset: 0, type: { kind: 'integer' } });
  expect(types.member('page', 'private')).toMatchObject({ offset: 24 });
  expect(types.member('holder', 'page.private')).toMatchObject({ offset: 24, type: { size: 8 } });
  expect(types.member('holder', 'page.nothing')).toBeUndefined();
  expect(types.member('holder', 'next.private')).toBeUndefined();
  expect(types.member('nothing', 'flags')).toBeUndefined();
});

test('pointers and arrays tell what they lead to', () => {
  const mapping = types.member('page', 'mapping')!.type;
  expect(mapping).toMatchObject({ kind: 'pointer', size: 8 });
  expect(mapping.target?.()).toMatchObject({ kind: 'struct', size: 0 });
  const name = types.member('holder', 'name')!.type;
  expect(name).toMatchObject({ kind: 'array', size: 16, length: 16 });
  expect(name.target?.()).toEqual({ kind: 'integer', name: 'char', size: 1 });
  expect(types.member('holder', 'next')!.type.target?.().kind).toBe('void');
  expect(types.member('holder', 'call')!.type.target?.().kind).toBe('function');
});

test('of several structures with a name the member decides, unless they contradict each other', () => {
  expect(types.find('twice')).toMatchObject({ kind: 'struct', size: 8 });
  expect(types.member('twice', 'same')?.offset).toBe(0);
  expect(types.member('twice', 'only')?.offset).toBe(8);
  expect(types.member('twice', 'differs')).toBeUndefined();
});

test('variables have the type that their section gives them', () => {
  expect(types.variable('this_cpu_page')).toEqual({ kind: 'struct', name: 'page', size: 64 });
  expect(types.variable('page')).toBeUndefined();
  expect(types.enumerator('ZONE_NORMAL')).toBe(2n);
});
