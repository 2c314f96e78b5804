import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CollectReport, collect } from '../../../src/dump/collect.ts';
import { collectRequest } from '../../../src/dump/request.ts';
import { openKdump, setBits } from '../../helpers/kdump-reader.ts';
import {
  PG,
  type StructPage,
  textPage,
  type612,
  type VmcoreOptions,
  writeVmcore,
} from '../../helpers/vmcore.ts';

const bit = (...flags: (keyof typeof PG)[]): number => flags.reduce((sum, flag) => sum | (1 << PG[flag]), 0);
const anon = 0x1n;
const file = 0xffff_8880_0000_1000n;

let directory: string;
let count = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-filter-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Dumps a memory with these struct pages (and text in every page) at a level; gives the pages that are missing. */
function filter(
  pages: Record<number, StructPage>,
  dumpLevel: number,
  options: VmcoreOptions = {},
): { dropped: number[]; report: CollectReport; messages: string[] } {
  const base = join(directory, `${count++}`);
  const { pages: total } = writeVmcore(`${base}.core`, {
    content: textPage,
    structPage: (pfn) => pages[pfn] ?? {},
    ...options,
  });
  const messages: string[] = [];
  const report = collect(
    collectRequest(
      [`${base}.core`],
      { kind: 'file', path: `${base}.dump`, overwrite: false },
      { dumpLevels: [dumpLevel] },
    ),
    { progress: () => {}, message: (text) => messages.push(text) },
  );
  const dump = openKdump(`${base}.dump`);
  const kept = new Set(setBits(dump.bitmap2));
  dump.close();
  return {
    dropped: Array.from({ length: total }, (_, pfn) => pfn).filter((pfn) => !kept.has(pfn)),
    report,
    messages,
  };
}

const range = (start: number, length: number): number[] => Array.from({ length }, (_, i) => start + i);
const every = Array.from({ length: 32 }, (_, level) => level);
/** The levels at which a single page with this struct page at frame 64 is left out. */
const levelsDropping = (page: StructPage, options: VmcoreOptions = {}): number[] =>
  every.filter((level) => filter({ 64: page }, level, { pages: 256, ...options }).dropped.includes(64));
const levelsWith = (bits: number): number[] => every.filter((level) => (level & bits) !== 0);

describe('which levels leave a page out', () => {
  const cases: [what: string, page: StructPage, levels: number[]][] = [
    ['clean page cache', { flags: bit('lru'), mapping: file }, levelsWith(2 | 4)],
    ['page cache with private data', { flags: bit('lru', 'private'), mapping: file }, levelsWith(4)],
    ['anonymous page', { flags: bit('lru', 'swapbacked'), mapping: anon, type: 0 }, levelsWith(8)],
    [
      'anonymous page with waiters (bit 7, once PG_slab)',
      { flags: bit('lru', 'waiters'), mapping: anon, type: 0 },
      levelsWith(8),
    ],
    [
      'swap cache of shared memory',
      { flags: bit('swapcache', 'swapbacked'), mapping: file },
      levelsWith(2 | 4),
    ],
    ['PG_owner_priv_1 (the same bit) without swapbacked', { flags: bit('swapcache'), mapping: file }, []],
    ['free page', { type: type612.buddy }, levelsWith(16)],
    ['slab page with an odd mapping', { mapping: anon, type: type612.slab }, []],
    ['kernel page', { flags: 0 }, []],
    ['poisoned page', { flags: bit('hwpoison') }, every],
    ['poisoned anonymous page', { flags: bit('hwpoison'), mapping: anon }, every],
    ['offline page', { type: type612.offline }, every],
    [
      'tail of a compound page whose head is elsewhere',
      { flags: bit('lru'), mapping: anon, compoundHead: 1n },
      [],
    ],
  ];
  test.each(cases)('%s', (_, page, levels) => {
    expect(levelsDropping(page)).toEqual(levels);
  });

  test('a kernel before page types tells slab by its flag, and bit 7 is that flag when it exports none', () => {
    const older = (lines: string[]): string[] => lines.filter((line) => !line.includes('PAGE_SLAB'));
    const page = { flags: bit('waiters'), mapping: anon, type: 0 };
    expect(levelsDropping(page, { vmcoreinfo: older })).toEqual([]);
  });
});

describe('blocks are one decision', () => {
  test('a free block takes all its pages, and only them', () => {
    const { dropped, report } = filter({ 64: { type: type612.buddy, private: 3n } }, 16);
    expect(dropped).toEqual([64, 65, 66, 67, 68, 69, 70, 71]);
    expect(report.pages.excluded.free).toBe(8);
  });

  test('a free block of an impossible order is kept and counted', () => {
    const { dropped, report, messages } = filter({ 64: { type: type612.buddy, private: 11n } }, 31);
    expect(dropped).not.toContain(64);
    expect(report.doubts.badOrder).toBe(1);
    expect(messages.join()).toContain('1 free blocks claim an order');
  });

  test('unaccepted memory goes in blocks of the largest order', () => {
    const { dropped } = filter({ 0: { type: type612.unaccepted } }, 16, { pages: 2048 });
    expect(dropped).toEqual(Array.from({ length: 1024 }, (_, pfn) => pfn));
  });

  const compound = (order: number, head: StructPage): Record<number, StructPage> => {
    const pages: Record<number, StructPage> = { 128: { ...head, flags: (head.flags ?? 0) | bit('head') } };
    for (let i = 1; i < 2 ** order; i++) pages[128 + i] = { compoundHead: 0xffff_ea00_0000_2001n };
    // folio._flags_1: the order is its low byte.
    pages[129] = { ...pages[129], flags: order };
    return pages;
  };
  test('a transparent huge page', () => {
    const { dropped, report } = filter(
      compound(5, { flags: bit('lru', 'swapbacked'), mapping: anon, type: 0 }),
      8,
    );
    expect(dropped).toEqual(range(128, 32));
    expect(report.pages.excluded.user).toBe(32);
  });

  test('a hugetlb page is told by its type, whatever its mapping', () => {
    expect(filter(compound(6, { type: type612.hugetlb }), 8).dropped).toEqual(range(128, 64));
  });

  test('a compound page of the kernel stays', () => {
    expect(filter(compound(4, {}), 31).dropped).toEqual([]);
  });

  test('an order that the frame is not aligned to is not believed', () => {
    const pages = compound(2, { flags: bit('lru'), mapping: anon, type: 0 });
    pages[129] = { ...pages[129], flags: 9 };
    expect(filter(pages, 8).dropped).toEqual([128]);
  });

  test('hugetlb before 6.6 is told by the destructor in the first tail page', () => {
    const older = (lines: string[]): string[] => [
      ...lines.filter((line) => !line.includes('PAGE_HUGETLB')),
      'OFFSET(page.compound_dtor)=16',
      'OFFSET(page.compound_order)=17',
      'NUMBER(HUGETLB_PAGE_DTOR)=2',
    ];
    // compound_dtor and compound_order are bytes 16 and 17 of page[1], which this model has no field for: they share
    // the word of nothing else, so mapping of a tail at 24 stays free. Use the private word instead.
    const shifted = (lines: string[]): string[] =>
      older(lines).map((l) => l.replace('dtor)=16', 'dtor)=40').replace('order)=17', 'order)=41'));
    const pages = compound(4, {});
    pages[129] = { compoundHead: 0xffff_ea00_0000_2001n, private: 0x0402n };
    expect(filter(pages, 8, { vmcoreinfo: shifted }).dropped).toEqual(range(128, 16));
  });

  test('hugetlb of 6.6 to 6.8 is told by a flag in the first tail page', () => {
    const middle = (lines: string[]): string[] => [
      ...lines.filter((line) => !line.includes('PAGE_HUGETLB')),
      'NUMBER(PG_hugetlb)=8',
    ];
    const pages = compound(3, {});
    pages[129] = { compoundHead: 0xffff_ea00_0000_2001n, flags: 3 | (1 << 8) };
    expect(filter(pages, 8, { vmcoreinfo: middle }).dropped).toEqual(range(128, 8));
  });
});

describe("what is the kernel's own stays", () => {
  test('a head flag before a page that is no tail makes no compound page', () => {
    // 6.6 to 6.8: the flag that means hugetlb in a tail page means something else in any other.
    const byFlag = (lines: string[]): string[] => [
      ...lines.filter((line) => !line.includes('PAGE_HUGETLB_MAPCOUNT_VALUE')),
      'NUMBER(PG_hugetlb)=8',
    ];
    const pages = (compoundHead: bigint): Record<number, StructPage> => ({
      128: { flags: bit('head') },
      129: { flags: (1 << 8) | 3, compoundHead },
    });
    expect(filter(pages(0n), 31, { vmcoreinfo: byFlag }).dropped).toEqual([]);
    expect(filter(pages(1n), 31, { vmcoreinfo: byFlag }).dropped).toEqual(range(128, 8));
  });

  test('page tables and what the image maps are no user data, whatever their descriptors say', () => {
    const pages = 512;
    // So that all of it lies above the start of the image's mapping.
    const physBase = 0n;
    const { kernelPages } = writeVmcore(join(directory, 'probe'), { pages, physBase });
    const all = Object.fromEntries(range(0, pages).map((pfn) => [pfn, { mapping: anon }]));
    const { dropped, report, messages } = filter(all, 8, { pages, physBase });
    // Of its own memory only the page descriptors are nothing that the image or the page tables are made of.
    const descriptors = (pages * 64) / 4096;
    expect(dropped).toEqual([...range(0, kernelPages), ...range(pages - descriptors, descriptors)]);
    expect(report.doubts.protected).toBe(pages - kernelPages - descriptors);
    expect(messages.join()).toContain('pages of the kernel look like user data');
  });
});

describe('what cannot be read or understood is kept', () => {
  test('an unreadable block of descriptors keeps its pages, and the dump goes on', () => {
    const all = Object.fromEntries(Array.from({ length: 512 }, (_, pfn) => [pfn, { type: type612.buddy }]));
    const { dropped, report, messages } = filter(all, 31, { unmapped: [2, 3] });
    expect(dropped).toEqual([...range(0, 128), ...range(256, 256)]);
    expect(report.doubts.unreadable).toBe(128);
    expect(messages.join()).toContain('128 pages have no readable descriptor');
  });

  test('flags at bit 4 and 5 of section_mem_map are no part of the address', () => {
    const { dropped } = filter({ 64: { type: type612.buddy } }, 16, { sectionFlags: 0x30n });
    expect(dropped).toEqual([64]);
  });

  test('page tables that lead to another kernel are not trusted', () => {
    const { dropped, messages } = filter({ 64: { type: type612.buddy } }, 31, { release: '5.4.0-other' });
    expect(dropped).toEqual([]);
    expect(messages.join()).toContain("release '5.4.0-other', VMCOREINFO says '6.12.0-test'");
  });

  test('a missing key of struct page costs the filter, not the dump', () => {
    const { dropped, messages } = filter({ 64: { type: type612.buddy } }, 31, {
      vmcoreinfo: (lines) => lines.filter((line) => !line.includes('page.mapping')),
    });
    expect(dropped).toEqual([]);
    expect(messages.join()).toContain('OFFSET(page.mapping)');
  });

  test('five levels of page tables and encrypted memory lead to the same pages', () => {
    const { dropped } = filter({ 64: { type: type612.buddy } }, 16, { fiveLevels: true, smeMask: 1n << 47n });
    expect(dropped).toEqual([64]);
  });
});
