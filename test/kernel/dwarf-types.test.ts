import { describe, expect, test } from 'vitest';
import { isStructRef } from '../../src/kernel/dwarf-types.ts';
import { fixtures, openFixture } from '../helpers/vmlinux.ts';

describe.each(fixtures)('%s', (name) => {
  const types = openFixture(name).debugTypes!;
  const offset = (struct: string, path: string) => types.member(struct, path)?.offset;

  test('structures, with members of members and of anonymous unions', () => {
    expect(types.find('page')).toMatchObject({ kind: 'struct', name: 'page', size: 48 });
    expect(offset('page', 'flags')).toBe(0);
    expect(offset('page', 'lru')).toBe(8);
    expect(offset('page', 'lru.prev')).toBe(16);
    expect(offset('page', 'mapping')).toBe(24);
    expect(offset('page', 'private')).toBe(32);
    expect(offset('page', 'compound_order')).toBe(17);
    expect(offset('page', '_mapcount')).toBe(40);
    expect(offset('page', '_refcount.counter')).toBe(44);
    expect(offset('page', 'no_such_member')).toBeUndefined();
    expect(offset('page', 'flags.deeper')).toBeUndefined();
    expect(offset('no_such_struct', 'flags')).toBeUndefined();
  });

  test('a member of an anonymous structure has a type of its own members', () => {
    const thread = types.member('task_struct', 'thread')!;
    expect(thread.type).toMatchObject({ kind: 'struct', name: '', size: 16 });
    expect(isStructRef(thread.type) && thread.type.member('pair.high')?.offset).toBe(10);
    expect(offset('task_struct', 'thread.pair.high')).toBe(thread.offset + 10);
  });

  test('a bit-field lies in the byte where it begins', () => {
    expect(offset('task_struct', 'flag_a')).toBe(0);
    // The older form names the storage unit, the newer one the bit.
    expect(offset('task_struct', 'flag_c')).toBe(name === 'dwarf2' || name === 'dwarf4' ? 0 : 1);
    expect(offset('task_struct', 'state')).toBe(4);
  });

  test('what pointers point to and arrays hold, through qualifiers and typedefs', () => {
    expect(types.member('task_struct', 'state')!.type).toMatchObject({
      kind: 'integer',
      name: 'int',
      size: 4,
    });
    expect(types.member('task_struct', 'stack')!.type.target!()).toMatchObject({ kind: 'void' });
    expect(types.member('task_struct', 'parent')!.type.target!()).toMatchObject({ name: 'task_struct' });
    expect(types.member('task_struct', 'entry')!.type.target!()).toMatchObject({ kind: 'function' });
    expect(types.member('task_struct', 'comm')!.type).toMatchObject({ kind: 'array', length: 16, size: 16 });
    const grid = types.member('task_struct', 'grid')!.type;
    expect(grid).toMatchObject({ kind: 'array', length: 3, size: 96 });
    expect(grid.target!()).toMatchObject({ kind: 'array', length: 4, size: 32 });
    expect(types.variable('big_size')).toMatchObject({ kind: 'integer', name: 'long unsigned int', size: 8 });
    expect(types.find('atomic_long_t')).toMatchObject({ kind: 'struct', name: '', size: 8 });
    expect(types.find('size_type')).toMatchObject({ kind: 'integer', size: 8 });
  });

  test('a structure that one file only declares is found in the other', () => {
    const cred = types.member('task_struct', 'cred')!.type.target!();
    expect(cred).toMatchObject({ kind: 'struct', name: 'cred', size: 40 });
    expect(offset('cred', 'gid.val')).toBe(4);
    // Defined nowhere.
    expect(types.find('address_space')).toBeUndefined();
    expect(types.member('page', 'mapping')!.type.target!()).toMatchObject({ name: 'address_space', size: 0 });
  });

  test('variables by their definition, global before static', () => {
    expect(types.variable('node_data')).toMatchObject({ kind: 'array', length: 4, size: 32 });
    expect(types.variable('node_data')!.target!().target!()).toMatchObject({ name: 'pglist_data' });
    expect(types.variable('shared_name')).toMatchObject({ kind: 'pointer' });
    expect(types.variable('sample_wide')).toMatchObject({ kind: 'enum', name: 'wide', size: 8 });
    expect(types.variable('linux_banner')).toMatchObject({ kind: 'array', length: 25 });
    expect(types.variable('inside_function')).toBeUndefined();
    expect(types.variable('no_such_variable')).toBeUndefined();
  });

  test('constants of enumerations, exact to 64 bits', () => {
    expect(types.enumerator('PG_lru')).toBe(4n);
    expect(types.enumerator('PG_head')).toBe(16n);
    expect(types.enumerator('WIDE_TOP')).toBe(0x8000_0000_0000_0001n);
    expect(types.enumerator('PG_no_such_flag')).toBeUndefined();
    expect(types.find('pageflags')).toMatchObject({ kind: 'enum', size: 4 });
  });

  test('the source file of a typedef', () => {
    expect(types.typedefFile('atomic_t')?.replace(/^\.\//, '')).toBe('kernel.h');
    expect(types.typedefFile('no_such_typedef')).toBeUndefined();
  });
});
