import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Explanation, explainPage, formatExplanation } from '../../src/dump/explain.ts';
import { excludePages } from '../../src/dump/filter/filter.ts';
import { mapPages } from '../../src/dump/filter/page-map.ts';
import { planCycles, selectPages } from '../../src/dump/filter/selection.ts';
import { openSource } from '../../src/dump/input/open.ts';
import type { DumpSource } from '../../src/dump/input/source.ts';
import type { PageBitmap } from '../../src/lib/bitmap.ts';
import {
  PG,
  type StructPage,
  textPage,
  type612,
  type VmcoreOptions,
  writeVmcore,
} from '../helpers/vmcore.ts';

const bit = (...flags: (keyof typeof PG)[]): number => flags.reduce((sum, flag) => sum | (1 << PG[flag]), 0);
const anon = 0x1n;
const file = 0xffff_8880_0000_1000n;
const vmemmap = 0xffff_ea00_0000_0000n;

let directory: string;
let count = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-explain-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Opens a memory with these struct pages; pages have text but for number 70. */
function withSource<T>(
  pages: Record<number, StructPage>,
  use: (source: DumpSource) => T,
  options: VmcoreOptions = {},
): T {
  const path = join(directory, `${count++}`);
  writeVmcore(path, {
    content: (pfn) => (pfn === 70 ? undefined : textPage(pfn)),
    structPage: (pfn) => pages[pfn] ?? {},
    ...options,
  });
  const source = openSource([path]);
  try {
    return use(source);
  } finally {
    source.close();
  }
}

const explain = (
  pages: Record<number, StructPage>,
  pfn: number,
  dumpLevel = 31,
  options: VmcoreOptions = {},
): Explanation => withSource(pages, (source) => explainPage(source, pfn, dumpLevel, {}), options);

const every = Array.from({ length: 32 }, (_, level) => level);
const levelsWith = (bits: number): number[] => every.filter((level) => (level & bits) !== 0);
/** A compound page of 2^order pages from `head` on. */
const compound = (at: number, order: number, head: StructPage): Record<number, StructPage> => {
  const pages: Record<number, StructPage> = { [at]: { ...head, flags: (head.flags ?? 0) | bit('head') } };
  for (let i = 1; i < 2 ** order; i++)
    pages[at + i] = { compoundHead: vmemmap + BigInt(at) * 64n + 1n, ...(i === 1 ? { flags: order } : {}) };
  return pages;
};

describe('why a page goes', () => {
  const cases: [
    what: string,
    pages: Record<number, StructPage>,
    pfn: number,
    reason: string,
    levels: number[],
  ][] = [
    ['page cache', { 64: { flags: bit('lru'), mapping: file } }, 64, 'cache', levelsWith(2 | 4)],
    [
      'page cache with private data',
      { 64: { flags: bit('lru', 'private'), mapping: file } },
      64,
      'cachePrivate',
      levelsWith(4),
    ],
    ['anonymous memory', { 64: { flags: bit('lru'), mapping: anon, type: 0 } }, 64, 'user', levelsWith(8)],
    ['hardware poison', { 64: { flags: bit('hwpoison') } }, 64, 'hwpoison', every],
    ['offline memory', { 64: { type: type612.offline } }, 64, 'offline', every],
    ['zeros', {}, 70, 'zero', levelsWith(1)],
    ['a page within a free block', { 64: { type: type612.buddy, private: 4n } }, 75, 'free', levelsWith(16)],
    [
      'a tail of a transparent huge page',
      compound(128, 5, { flags: bit('lru'), mapping: anon, type: 0 }),
      150,
      'user',
      levelsWith(8),
    ],
  ];
  test.each(cases)('%s', (_, pages, pfn, reason, levels) => {
    const explained = explain(pages, pfn);
    expect(explained).toMatchObject({ pfn, kept: false, reason, leftOutAt: levels });
    expect(formatExplanation(explained)).toContain('left out');
  });

  test('the level asked for decides, and zeros count where nothing else does', () => {
    const pages = { 70: { flags: bit('lru'), mapping: file } };
    expect(explain(pages, 70, 1)).toMatchObject({ kept: false, reason: 'zero' });
    expect(explain(pages, 70, 3)).toMatchObject({ kept: false, reason: 'cache' });
    expect(explain(pages, 70, 8)).toMatchObject({ kept: true, reason: 'kernel-data' });
    expect(explain(pages, 70, 8).leftOutAt).toEqual(levelsWith(1 | 2 | 4));
  });
});

describe('why a page stays', () => {
  test('nothing says that it is of a kind to leave out', () => {
    const explained = explain({ 64: { flags: bit('private', 'waiters'), private: 0x1234n } }, 64);
    expect(explained).toMatchObject({
      kept: true,
      reason: 'kernel-data',
      leftOutAt: [],
      content: 'data',
      block: null,
      place: { state: 'stored' },
      physical: '0x40000',
    });
    expect(explained.descriptor).toEqual({
      address: '0xffffea0000001000',
      flags: '0x4080',
      flagNames: ['private'],
      mapcount: '0xffffffff',
      type: null,
      refcount: 0,
      mapping: '0x0',
      private: '0x1234',
      compoundHead: '0x0',
      tail: false,
    });
  });

  test('it is a tail of a compound page that stays', () => {
    const explained = explain(compound(128, 3, {}), 133);
    expect(explained).toMatchObject({
      kept: true,
      reason: 'kernel-data',
      block: { kind: 'compound', head: 128, order: 3 },
      descriptor: { tail: true },
    });
    expect(formatExplanation(explained)).toContain('in the compound page at page frame 0x80, order 3');
  });

  test('since 7.1 a tail may lead to its head by a mask', () => {
    const pages = compound(128, 3, {});
    for (let pfn = 129; pfn < 136; pfn++)
      pages[pfn] = { ...pages[pfn], compoundHead: 0xffff_ffff_ffff_fe01n };
    expect(explain(pages, 135).block).toEqual({ kind: 'compound', head: 128, order: 3 });
  });

  test('it claims an order that cannot be', () => {
    const explained = explain({ 64: { type: type612.buddy, private: 11n } }, 64);
    expect(explained).toMatchObject({ kept: true, reason: 'bad-order', descriptor: { type: 'buddy' } });
  });

  test('its descriptor cannot be read', () => {
    const explained = explain({}, 64, 31, { unmapped: [1] });
    expect(explained).toMatchObject({ kept: true, reason: 'unreadable-descriptor', descriptor: null });
  });

  test('nothing is known of the kernel', () => {
    const explained = explain({}, 64, 31, { release: '5.4.0-other' });
    expect(explained).toMatchObject({ kept: true, reason: 'not-understood', leftOutAt: [] });
    expect(formatExplanation(explained)).toContain("release '5.4.0-other'");
    expect(explain({}, 70, 1, { vmcoreinfo: () => [] })).toMatchObject({ kept: false, reason: 'zero' });
  });

  test('the kernel needs it: a page table', () => {
    const { root, explained } = withSource({}, (source) => {
      const map = mapPages(source, 31, () => {});
      const table = Number(map.kernel!.memory.walkSteps(vmemmap)[1]!.address);
      const pfn = Math.floor(table / 4096);
      return { root: pfn, explained: explainPage(source, pfn, 31) };
    });
    expect(explained).toMatchObject({ pfn: root, kernelPart: 'page table', kept: true });
  });
});

describe('where a page is', () => {
  const options = {
    segments: [
      { start: 0, end: 256 },
      { start: 512, end: 1024 },
    ],
  };
  test('in a segment of the file', () => {
    const { place } = explain({}, 600, 31, options);
    expect(place).toEqual({
      state: 'stored',
      where: [expect.stringMatching(/^program header 2 \(0x200000-0x400000\), file offset 0x[0-9a-f]+$/)],
    });
  });

  test('in a hole, or beyond everything', () => {
    expect(explain({}, 300, 31, options)).toMatchObject({ kept: false, reason: 'hole', leftOutAt: [] });
    expect(explain({}, 2 ** 40, 31, options)).toMatchObject({ kept: false, reason: 'beyond' });
    expect(formatExplanation(explain({}, 300, 31, options))).toContain('not there');
  });

  test('described, but left out when the file was made: its descriptor still says why', () => {
    const withoutContent = (source: DumpSource): DumpSource =>
      Object.create(source, {
        clearMissing: {
          value: (bitmap: PageBitmap) => bitmap.clearRange(64, 96),
        },
        maxPfn: { value: (pageSize: number) => source.maxPfn(pageSize) },
        markPresent: { value: (bitmap: PageBitmap, size: number) => source.markPresent(bitmap, size) },
        readInto: { value: (paddr: number, target: Uint8Array) => source.readInto(paddr, target) },
        view: { value: undefined },
      });
    const pages = { 64: { type: type612.buddy, private: 4n } };
    const [free, other] = withSource(pages, (source) =>
      [70, 90].map((pfn) => explainPage(withoutContent(source), pfn, 31)),
    );
    expect(free).toMatchObject({
      kept: false,
      reason: 'free',
      place: { state: 'missing' },
      leftOutAt: levelsWith(16),
      content: null,
    });
    expect(formatExplanation(free!)).toContain('left out: it is free');
    expect(other).toMatchObject({ kept: false, reason: 'missing', leftOutAt: [] });
    expect(formatExplanation(other!)).toContain('not there: the file describes it');
  });

  test('a number that is no page frame is refused', () => {
    expect(() => explain({}, -1)).toThrow('not a page frame number');
  });
});

test('every page of a random memory is explained as the filter decides it', () => {
  const kinds: StructPage[] = [
    {},
    { flags: bit('lru'), mapping: file },
    { flags: bit('lru', 'private'), mapping: file },
    { flags: bit('lru'), mapping: anon, type: 0 },
    { flags: bit('hwpoison') },
    { type: type612.offline },
    { type: type612.slab, mapping: anon },
    ...[0, 1, 2, 3, 5, 12].map((order) => ({ type: type612.buddy, private: BigInt(order) })),
    { compoundHead: vmemmap + 1n },
    { flags: bit('head', 'lru'), mapping: anon, type: 0 },
    { flags: 3, compoundHead: vmemmap + 1n },
  ];
  const memory = fc.array(fc.constantFrom(...kinds), { minLength: 128, maxLength: 128 });
  fc.assert(
    fc.property(
      memory,
      fc.nat({ max: 31 }),
      fc.array(fc.nat({ max: 127 }), { maxLength: 6 }),
      (drawn, dumpLevel, asked) => {
        withSource(
          Object.fromEntries(drawn.entries()),
          (source) => {
            const map = mapPages(source, dumpLevel, () => {});
            const kept: number[] = [];
            selectPages(
              {
                source,
                map,
                judge: (bitmap, take) =>
                  take(
                    excludePages({ ...map.descriptors!, dumpLevel, bitmap }, () => {}),
                    bitmap.end,
                  ),
                also: undefined,
              },
              planCycles(map.maxPfn, 32, 32),
              new Uint8Array(32),
              undefined,
              (_, bitmap) => {
                for (let pfn = bitmap.nextSet(0); pfn < bitmap.end; pfn = bitmap.nextSet(pfn + 1))
                  kept.push(pfn);
              },
              () => {},
            );
            for (const pfn of asked) {
              const explained = explainPage(source, pfn, dumpLevel);
              const zero = explained.reason === 'zero';
              expect(explained.kept || zero).toBe(kept.includes(pfn));
              expect(explained.leftOutAt.includes(dumpLevel)).toBe(!explained.kept);
            }
          },
          { pages: 256 },
        );
      },
    ),
    { numRuns: 25 },
  );
});
