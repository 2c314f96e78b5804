import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { isMissing, type MappedRun, missing, type PhysicalMemory } from '../../src/kernel/memory.ts';
import { x86_64 } from '../../src/kernel/x86_64.ts';
import { MappedRam } from '../helpers/mapped-ram.ts';

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

test('tables are read once, until they are to be forgotten', () => {
  const entries: Record<number, Record<number, bigint>> = {
    8192: { 1: 0x3000n | table },
    12288: { 1: 0x2_4000_0000n | largeLeaf },
  };
  const keys = info();
  const translator = x86_64.translator(keys, tables(entries), x86_64.physBase(keys, []));
  const found = translator.translate(vaddr);
  entries[12288] = { 1: 0x3_4000_0000n | largeLeaf };
  expect(translator.translate(vaddr)).toEqual(found);
  translator.forget!();
  expect(translator.translate(vaddr)).toMatchObject({ paddr: 0x3_4020_1123 });
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

const mappings = fc.array(
  fc.record({
    /** In pages from 4 MiB below the start of the image's mapping. */
    page: fc.nat(3000),
    count: fc.integer({ min: 1, max: 20 }),
    frame: fc.nat(900),
  }),
  { maxLength: 8 },
);

test('all runs of a range are those that address by address gives, joined', () => {
  const low = 0xffff_ffff_8000_0000n - 0x40_0000n;
  fc.assert(
    fc.property(mappings, fc.nat(3000), fc.nat(3000), fc.nat(4095), (specs, one, other, inPage) => {
      const ram = new MappedRam(4 * 2 ** 20);
      for (const { page, count, frame } of specs)
        ram.map(low + BigInt(page) * 4096n, frame * 4096, count * 4096);
      const info = new Vmcoreinfo(`SYMBOL(swapper_pg_dir)=ffffffff80000000\nNUMBER(phys_base)=${ram.root}\n`);
      const walk = x86_64.translator(info, ram, BigInt(ram.root));
      const start = low + BigInt(Math.min(one, other)) * 4096n + BigInt(inPage);
      const end = low + BigInt(Math.max(one, other)) * 4096n + BigInt(inPage);
      const expected: MappedRun[] = [];
      for (let at = start; at < end; ) {
        const run = walk.translate(at);
        if (isMissing(run)) {
          at += 4096n - (at % 4096n);
          continue;
        }
        const length = Math.min(run.length, Number(end - at));
        const last = expected.at(-1);
        if (last && last.vaddr + BigInt(last.length) === at && last.paddr + last.length === run.paddr)
          expected[expected.length - 1] = { ...last, length: last.length + length };
        else expected.push({ ...run, length });
        at += BigInt(length);
      }
      expect([...walk.mappedRuns!(start, end)]).toEqual(expected);
    }),
    // A range of nothing, in the middle of a page that is mapped.
    { numRuns: 100, examples: [[[{ page: 0, count: 5, frame: 0 }], 4, 4, 1]] },
  );
});

test('runs of large pages, and of the lower half', () => {
  const ram = new MappedRam(4 * 2 ** 20);
  ram.map(0xffff_8880_0000_0000n, 0x20_0000, 0x60_0000, 0x20_0000);
  ram.map(0x40_0000n, 0x1000, 0x3000);
  const info = new Vmcoreinfo(`SYMBOL(swapper_pg_dir)=ffffffff80000000\nNUMBER(phys_base)=${ram.root}\n`);
  const walk = x86_64.translator(info, ram, BigInt(ram.root));
  expect([...walk.mappedRuns!(0xffff_8880_0000_1000n, 0xffff_8880_0050_0000n)]).toEqual([
    { vaddr: 0xffff_8880_0000_1000n, paddr: 0x20_1000, length: 0x4f_f000 },
  ]);
  expect([...walk.mappedRuns!(0n, 0x1_0000_0000n)]).toEqual([
    { vaddr: 0x40_0000n, paddr: 0x1000, length: 0x3000 },
  ]);
  // The tables of the lower half are not the kernel's own.
  expect(walk.tablePages!(100)).toHaveLength(3);
  expect(walk.tablePages!(2)).toHaveLength(2);
});

test('tables that point at themselves end', () => {
  const ram = new MappedRam(2 ** 20);
  for (let index = 0; index < 512; index++)
    ram.bytes.writeBigUInt64LE(BigInt(ram.root) | table, ram.root + index * 8);
  const info = new Vmcoreinfo(`SYMBOL(swapper_pg_dir)=ffffffff80000000\nNUMBER(phys_base)=${ram.root}\n`);
  const walk = x86_64.translator(info, ram, BigInt(ram.root));
  expect(walk.tablePages!(100)).toEqual([ram.root]);
  const runs = [...walk.mappedRuns!(0xffff_ffff_8000_0000n, 0xffff_ffff_8100_0000n)];
  expect(runs.length).toBeLessThanOrEqual(4096);
});

test('the steps of a walk are the entries from the root to the page, or to where it ends', () => {
  const ram = new MappedRam(2 ** 20);
  ram.map(0xffff_ffff_8100_0000n, 0x3000, 0x1000);
  const info = new Vmcoreinfo(`SYMBOL(swapper_pg_dir)=ffffffff80000000\nNUMBER(phys_base)=${ram.root}\n`);
  const walk = x86_64.translator(info, ram, BigInt(ram.root));
  const steps = walk.walkSteps!(0xffff_ffff_8100_0123n);
  expect(steps.map(({ name }) => name)).toEqual(['PGD', 'PUD', 'PMD', 'PTE']);
  expect(steps[0]!.address).toBe(ram.root + 511 * 8);
  for (const { address, entry } of steps) expect(entry).toBe(ram.bytes.readBigUInt64LE(address));
  expect(steps[3]!.entry).toBe(0x8000_0000_0000_3163n);
  expect(walk.walkSteps!(0xffff_ffff_8100_1000n).map(({ entry }) => entry === 0n)).toEqual([
    false,
    false,
    false,
    true,
  ]);
  expect(walk.walkSteps!(0n)).toEqual([{ name: 'PGD', address: ram.root, entry: 0n }]);
});
