import { expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { missing, type PhysicalMemory } from '../../src/kernel/memory.ts';
import { x86_64 } from '../../src/kernel/x86_64.ts';

/** Physical memory that holds page tables only: table address → index → entry. */
function tables(entries: Record<number, Record<number, bigint>>): PhysicalMemory {
  return {
    readInto: (paddr, target) => {
      const table = entries[paddr];
      if (table === undefined) return missing('hole', paddr);
      const bytes = Buffer.alloc(4096);
      for (const [index, entry] of Object.entries(table)) bytes.writeBigUInt64LE(entry, Number(index) * 8);
      target.set(bytes.subarray(0, target.length));
      return undefined;
    },
  };
}

const info = (more = ''): Vmcoreinfo =>
  new Vmcoreinfo(`SYMBOL(swapper_pg_dir)=ffffffff80001000\nNUMBER(phys_base)=4096\n${more}`);
const translate = (memory: PhysicalMemory, vaddr: bigint, more = '') => {
  const keys = info(more);
  return x86_64.translator(keys, memory, x86_64.physBase(keys, [])).translate(vaddr);
};
const table = 0x67n;
const leaf = 0x163n;
const largeLeaf = 0x1e3n;
// Index 1 at every level of 0x0000_0080_4020_1000.
const vaddr = (1n << 39n) | (1n << 30n) | (1n << 21n) | (1n << 12n) | 0x123n;

test('four levels to a 4 KiB page, no-execute and ignored bits aside', () => {
  const memory = tables({
    8192: { 1: 0x3000n | table },
    12288: { 1: 0x4000n | table },
    16384: { 1: 0x5000n | table },
    20480: { 1: 0x8000_0000_00ab_c000n | 0x0200n | leaf },
  });
  expect(translate(memory, vaddr)).toEqual({ vaddr, paddr: 0xabc123, length: 0x1000 - 0x123 });
});

test('a 2 MiB leaf, whose PAT bit 12 is no part of the address', () => {
  const memory = tables({
    8192: { 1: 0x3000n | table },
    12288: { 1: 0x4000n | table },
    16384: { 1: 0x40001000n | largeLeaf },
  });
  expect(translate(memory, vaddr)).toEqual({ vaddr, paddr: 0x40001123, length: 0x200000 - 0x1123 });
});

test('a 1 GiB leaf', () => {
  const memory = tables({ 8192: { 1: 0x3000n | table }, 12288: { 1: 0x2_4000_0000n | largeLeaf } });
  expect(translate(memory, vaddr)).toEqual({ vaddr, paddr: 0x2_4020_1123, length: 0x40000000 - 0x201123 });
});

test('five levels when the kernel says so', () => {
  const memory = tables({
    8192: { 0: 0x6000n | table },
    24576: { 1: 0x3000n | table },
    12288: { 1: 0x2_4000_0000n | largeLeaf },
  });
  expect(translate(memory, vaddr, 'NUMBER(pgtable_l5_enabled)=1\n')).toMatchObject({ paddr: 0x2_4020_1123 });
});

test('the encryption bit is no part of any address', () => {
  const sme = 1n << 47n;
  const memory = tables({ 8192: { 1: 0x3000n | table | sme }, 12288: { 1: 0x4000_0000n | largeLeaf | sme } });
  expect(translate(memory, vaddr, `NUMBER(sme_mask)=${sme}\n`)).toMatchObject({ paddr: 0x4020_1123 });
});

test('what is not mapped, and a table that is not there, are told apart', () => {
  expect(translate(tables({ 8192: {} }), vaddr)).toEqual({ missing: 'unmapped', address: '0x8040201123' });
  expect(translate(tables({ 8192: { 1: 0x3000n | table } }), vaddr)).toEqual({
    missing: 'hole',
    address: '0x3000',
  });
});

test('phys_base from the kernel-text segment when it is not exported', () => {
  const segments = [
    { vaddr: 0xffff_8880_0000_0000n, paddr: 0 },
    { vaddr: 0xffff_ffff_8100_0000n, paddr: 0x3b00_0000 },
  ];
  expect(x86_64.physBase(new Vmcoreinfo(''), segments)).toBe(0x3a00_0000n);
  expect(x86_64.physBase(info(), segments)).toBe(4096n);
});
