import { expect, test } from 'vitest';
import { kmem } from '../../../src/crash/commands/kmem.ts';
import { BtfBuilder } from '../../helpers/btf.ts';
import { words } from '../../helpers/kernel.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_8000_0000_0000n;
const descriptors = 0xffff_ea00_0000_0000n;
const pageSize = 64;
const [node, zone, name, bases, lru] = [start, start + 0x100n, start + 0x800n, start + 0x900n, 8n] as const;
const list = (order: number): bigint => zone + 32n + BigInt(order * 24);
const page = (pfn: number): bigint => descriptors + BigInt(pfn * pageSize);

/** One node of one zone: page frames 1 to 15, and lists of free blocks of one page and of two. */
function memory(free: readonly (readonly number[])[], damaged = false) {
  const btf = new BtfBuilder();
  const long = btf.int('long unsigned int', 8);
  const link = btf.struct('list_head', 16, [
    ['next', long, 0],
    ['prev', long, 64],
  ]);
  const area = btf.struct('free_area', 24, [
    ['free_list', btf.array(link, 1), 0],
    ['nr_free', long, 128],
  ]);
  const zoneType = btf.struct('zone', 96, [
    ['name', btf.pointer(btf.int('char', 1)), 0],
    ['zone_start_pfn', long, 64],
    ['spanned_pages', long, 128],
    ['vm_stat', btf.array(long, 1), 192],
    ['free_area', btf.array(area, 2), 256],
  ]);
  btf.struct('pglist_data', 128, [
    ['node_start_pfn', long, 0],
    ['node_spanned_pages', long, 64],
    ['node_zones', btf.array(zoneType, 1), 0x100 * 8],
  ]);
  btf.struct('page', pageSize, [
    ['flags', long, 0],
    ['lru', link, 64],
    ['mapping', long, 192],
    ['index', long, 256],
    ['_count', btf.struct('atomic_t', 8, [['counter', long, 0]]), 320],
  ]);
  btf.enum('zone_stat_item', { NR_FREE_PAGES: 0, NR_VM_ZONE_STAT_ITEMS: 1 });
  btf.enum('pageflags', { PG_locked: 0, PG_lru: 1, PG_slab: 2, __NR_PAGEFLAGS: 3, PG_other: 1 });
  const bytes = Buffer.alloc(4096);
  words(1, 15).copy(bytes, Number(node - start));
  words(name, 1, 15, 3).copy(bytes, Number(zone - start));
  bytes.write('DMA\0', Number(name - start), 'latin1');
  words(descriptors, 16).copy(bytes, Number(bases - start));
  const map = Buffer.alloc(16 * pageSize);
  for (const [order, blocks] of free.entries()) {
    const ring = [list(order), ...blocks.map((pfn) => page(pfn) + lru)];
    for (const [i, each] of ring.entries()) {
      const next = ring[(i + 1) % ring.length]!;
      const link = words(damaged && i === 1 ? start - 0x1000n : next, ring.at(i - 1)!);
      if (i === 0) link.copy(bytes, Number(each - start));
      else link.copy(map, Number(each - descriptors));
    }
  }
  words(6).copy(map, 5 * pageSize);
  return sessionOf({
    pieces: [
      { vaddr: start, bytes },
      { vaddr: descriptors, bytes: map },
    ],
    symbols: {
      contig_page_data: node,
      vmemmap_base: bases,
      max_pfn: bases + 8n,
      vm_zone_stat: zone + 24n,
    },
    types: btf,
  });
}

test('kmem -f: the lists of free pages hold what was counted', () => {
  const lines = linesOf(memory([[3], [4]]), kmem, '-f');
  expect(lines[1]!.trimEnd()).toBe('  0   DMA           15       3  ffffea0000000040      1000          0');
  expect(lines.slice(3, 5)).toEqual([
    '  0       4k  ffff800000000120       1      1',
    '  1       8k  ffff800000000138       1      2',
  ]);
  expect(lines.at(-1)).toBe('nr_free_pages: 3  (verified)');
  expect(linesOf(memory([[3], []]), kmem, '-f').at(-1)).toBe('nr_free_pages: 3  (found 1)');
});

test('kmem -F: the pages themselves; of a page, the list with its block', () => {
  expect(linesOf(memory([[3, 7], [4]]), kmem, '-F')).toContain('ffffea00000001c0');
  // The second page of a block of two.
  const lines = linesOf(memory([[3], [4]]), kmem, `-f ${page(5).toString(16)}`);
  expect(lines.at(-2)).toBe('  1       8k  ffff800000000138');
  expect(lines.at(-1)).toBe('ffffea0000000100');
  expect(linesOf(memory([[3], [4]]), kmem, `-f ${page(6).toString(16)}`)).toEqual([]);
});

test('a free list that is damaged gives what can be reached, and is said', () => {
  const lines = linesOf(memory([[3, 7, 9], []], true), kmem, '-f');
  expect(lines[3]).toBe('  0       4k  ffff800000000120       3      3');
  expect(lines[4]).toContain('the list is damaged at ffffea00000000c8');
});

test('kmem -n: a node and its zone', () => {
  const lines = linesOf(memory([[], []]), kmem, '-n');
  expect(lines[1]).toBe('  0      15     ffff800000000000        ----        ffff800000000100');
  expect(lines[6]).toBe('  0   DMA            15  ffffea0000000040         1000            1');
});

test('kmem -p: a page by its descriptor or by its address, with the names that its flags had first', () => {
  const line = 'ffffea0000000140     5000                0        0  0 6 lru,slab';
  expect(linesOf(memory([[], []]), kmem, `-p ${page(5).toString(16)}`)[1]).toBe(line);
  expect(linesOf(memory([[], []]), kmem, '-p 5123')[1]).toBe(line);
});
