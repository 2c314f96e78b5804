import { describe, expect, test } from 'vitest';
import { typesOfBtf } from '../../src/kernel/btf-types.ts';
import { inferredKeys } from '../../src/kernel/inferred.ts';
import type { KernelTypes } from '../../src/kernel/types.ts';
import { BtfBuilder } from '../helpers/btf.ts';

function typesWith(enums: Readonly<Record<string, Readonly<Record<string, number>>>>): KernelTypes {
  const b = new BtfBuilder();
  const long = b.int('long', 8);
  const list = b.array(long, 11);
  b.struct('page', 64, [['private', long, 320]]);
  b.struct('zone', 1536, [['free_area', list, 2048]]);
  b.struct('empty', 0, []);
  for (const [name, values] of Object.entries(enums)) b.enum(name, values);
  const array = b.variable('node_data', b.array(long, 64));
  b.dataSection('.data', [
    [array, 0, 512],
    [b.variable('mem_section', b.pointer(long)), 512, 8],
  ]);
  return typesOfBtf(b.bytes(), 'test');
}

const symbols = {
  address: (name: string) =>
    ({ node_data: 0xffff_ffff_8260_36e0n, mem_section: 0x10n, vmemmap: 0x20n, __per_cpu_start: 0n })[name],
};

/** Page types of 6.12 and later; of 6.11, cleared bits; before, macros that no type information has. */
const pageflags = { PG_locked: 0, PG_lru: 5, PG_head: 6, PG_private: 14, PG_hwpoison: 20 };
const of612 = {
  pageflags,
  pagetype: {
    PGTY_buddy: 0xf0,
    PGTY_offline: 0xf1,
    PGTY_hugetlb: 0xf4,
    PGTY_slab: 0xf5,
    PGTY_unaccepted: 0xf7,
  },
};
const of611 = {
  pageflags,
  pagetype: { PG_buddy: 0x4000_0000, PG_offline: 0x2000_0000, PG_hugetlb: 0x0400_0000, PG_slab: 0x0200_0000 },
};
const of61 = { pageflags: { ...pageflags, PG_slab: 9 }, compound_dtor_id: { HUGETLB_PAGE_DTOR: 2 } };

const infer = (enums: Parameters<typeof typesWith>[0]) => inferredKeys({ types: typesWith(enums), symbols });

test('sizes, offsets, lengths and symbols in the syntax of VMCOREINFO', () => {
  const key = infer({});
  expect(key('SIZE(page)')).toBe('64');
  expect(key('OFFSET(page.private)')).toBe('40');
  expect(key('LENGTH(zone.free_area)')).toBe('11');
  expect(key('LENGTH(node_data)')).toBe('64');
  expect(key('SYMBOL(node_data)')).toBe('ffffffff826036e0');
});

test('what is not known is not answered', () => {
  const key = infer(of612);
  for (const unknown of [
    'SIZE(nothing)',
    'SIZE(empty)',
    'OFFSET(page)',
    'OFFSET(page.nothing)',
    'LENGTH(zone.nothing)',
    'LENGTH(mem_section)',
    'SYMBOL(nothing)',
    // The value of a variable, and a macro: no addresses of symbols.
    'SYMBOL(mem_section)',
    'SYMBOL(vmemmap)',
    'NUMBER(SECTION_SIZE_BITS)',
    'NUMBER(PG_slab)',
    'NUMBER(PG_swapbacked)',
    'NUMBER(PGTY_buddy)',
    'NUMBER(toString)',
    'OSRELEASE',
    'SIZE(page',
    'KERNELOFFSET',
    'CRASHTIME',
  ])
    expect(key(unknown), unknown).toBeUndefined();
  const nothing = inferredKeys({ types: undefined, symbols: undefined });
  for (const form of [
    'SYMBOL(x)',
    'SIZE(page)',
    'OFFSET(page.private)',
    'LENGTH(zone.free_area)',
    'NUMBER(PG_lru)',
  ])
    expect(nothing(form)).toBeUndefined();
});

describe('page flags and types', () => {
  test('6.12: one byte each', () => {
    const key = infer(of612);
    expect(key('NUMBER(PG_lru)')).toBe('5');
    expect(key('NUMBER(PG_head_mask)')).toBe('64');
    expect(key('NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)')).toBe('-268435456');
    expect(key('NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)')).toBe('-251658240');
    expect(key('NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)')).toBe('-201326592');
    expect(key('NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)')).toBe('-184549376');
    expect(key('NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)')).toBe('-150994944');
  });

  test('6.11: a bit each, which are no flags', () => {
    const key = infer(of611);
    expect(key('NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)')).toBe(String(~0x4000_0000));
    expect(key('NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)')).toBe(String(~0x0200_0000));
    expect(key('NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)')).toBeUndefined();
    expect(key('NUMBER(PG_slab)')).toBeUndefined();
    expect(key('NUMBER(PG_hugetlb)')).toBeUndefined();
  });

  test('6.1: a flag for slab, a destructor for hugetlb, macros for the rest', () => {
    const key = infer(of61);
    expect(key('NUMBER(PG_slab)')).toBe('9');
    expect(key('NUMBER(HUGETLB_PAGE_DTOR)')).toBe('2');
    expect(key('NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)')).toBeUndefined();
    expect(key('NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)')).toBeUndefined();
  });
});

test('types and symbols are opened only for keys that need them', () => {
  const opened: string[] = [];
  const key = inferredKeys({
    get types() {
      opened.push('types');
      return undefined;
    },
    get symbols() {
      opened.push('symbols');
      return undefined;
    },
  });
  for (const name of [
    'OSRELEASE',
    'NUMBER(phys_base)',
    'NUMBER(sme_mask)',
    'SYMBOL(mem_section)',
    'OFFSET(page)',
  ])
    key(name);
  expect(opened).toEqual([]);
  key('SYMBOL(prb)');
  expect(opened).toEqual(['symbols']);
  key('SIZE(page)');
  expect(opened).toEqual(['symbols', 'types']);
});
