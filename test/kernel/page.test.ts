import { describe, expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { pageLayout } from '../../src/kernel/page.ts';

const common = `SIZE(page)=64
OFFSET(page.flags)=0
OFFSET(page.mapping)=24
OFFSET(page._mapcount)=48
OFFSET(page.private)=40
LENGTH(zone.free_area)=11
`;
// What Debian's kernels export, taken from vmcores of 6.1.192 and 6.12.117.
const debian61 = `${common}OFFSET(page.compound_head)=8
OFFSET(page.compound_dtor)=16
OFFSET(page.compound_order)=17
NUMBER(PG_lru)=4
NUMBER(PG_private)=13
NUMBER(PG_swapcache)=10
NUMBER(PG_swapbacked)=19
NUMBER(PG_slab)=9
NUMBER(PG_head_mask)=65536
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129
NUMBER(HUGETLB_PAGE_DTOR)=2
NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257
`;
const debian612 = `${common}OFFSET(page.compound_head)=8
NUMBER(PG_lru)=5
NUMBER(PG_private)=14
NUMBER(PG_swapcache)=10
NUMBER(PG_swapbacked)=17
NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376
NUMBER(PG_hwpoison)=20
NUMBER(PG_head_mask)=64
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456
NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592
NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240
`;
const layoutOf = (text: string) => pageLayout(new Vmcoreinfo(text));

describe('struct page as a kernel exports it', () => {
  test('6.1', () => {
    expect(layoutOf(debian61)).toMatchObject({
      words: 16,
      mapcount: 12,
      lru: { word: 0, mask: 1 << 4 },
      head: { word: 0, mask: 1 << 16 },
      slabFlag: { word: 0, mask: 1 << 9 },
      slabType: undefined,
      hwpoison: undefined,
      buddyType: -129,
      orders: 11,
      compound: { orderWord: 4, orderShift: 8, hugetlb: { by: 'destructor', word: 4, shift: 0, value: 2 } },
    });
  });

  test('6.12: slab is a type, and no flag stands for it', () => {
    expect(layoutOf(debian612)).toMatchObject({
      slabFlag: undefined,
      slabType: -184549376,
      hwpoison: { word: 0, mask: 1 << 20 },
      compound: { orderWord: 0, orderShift: 0, hugetlb: { by: 'type', value: -201326592 } },
    });
  });

  test('types are 32-bit whatever the sign of the export', () => {
    const unsigned = debian612.replace('-268435456', String(0xf0000000)).replace('-201326592', '0xf4000000');
    expect(layoutOf(unsigned)).toMatchObject({
      buddyType: -268435456,
      compound: { hugetlb: { value: -201326592 } },
    });
  });

  test('6.3 to 6.5 describe the first tail page as the second half of a folio', () => {
    const text = `${debian61.replace(/OFFSET\(page.compound_(dtor|order)\)=\d+\n/g, '')}OFFSET(folio._folio_dtor)=80\nOFFSET(folio._folio_order)=81\n`;
    expect(layoutOf(text).compound).toMatchObject({
      orderWord: 4,
      orderShift: 8,
      hugetlb: { word: 4, shift: 0 },
    });
  });

  test('7.1 renames compound_head', () => {
    expect(layoutOf(debian612.replace('compound_head', 'compound_info')).compoundHead).toBe(2);
  });

  test('a flag above bit 31 lies in the second word', () => {
    expect(layoutOf(debian612.replace('PG_hwpoison)=20', 'PG_hwpoison)=33')).hwpoison).toEqual({
      word: 1,
      mask: 2,
    });
  });

  test('flags that no kernel exports have the numbers that it uses', () => {
    const silent = debian61.replace(/NUMBER\(PG_(lru|private|swapcache|swapbacked|slab)\)=\d+\n/g, '');
    expect(layoutOf(silent)).toMatchObject({
      lru: { mask: 1 << 5 },
      privateFlag: { mask: 1 << 11 },
      swapbacked: undefined,
      slabFlag: { mask: 1 << 7 },
    });
    // Since 4.10 PG_swapcache lies below PG_private, and means itself only on swapbacked pages.
    expect(layoutOf(debian61.replace(/NUMBER\(PG_swapbacked\)=\d+\n/, '')).swapbacked).toEqual({
      word: 0,
      mask: 1 << 19,
    });
  });

  test('a missing key is named', () => {
    expect(() => layoutOf(debian61.replace('OFFSET(page.private)=40\n', ''))).toThrow(
      'VMCOREINFO has no OFFSET(page.private)',
    );
  });
});

describe('with types to ask', () => {
  /** Lays pages out with a fallback that knows `answers`; tells what it was asked. */
  const withFallback = (text: string, answers: Readonly<Record<string, string>> = {}) => {
    const asked: string[] = [];
    const info = new Vmcoreinfo(text).withFallback((key) => {
      asked.push(key);
      return answers[key];
    });
    return { layout: pageLayout(info), asked };
  };

  test('a kernel that exports what it needs is asked for nothing more', () => {
    expect(withFallback(debian61)).toEqual({ layout: layoutOf(debian61), asked: [] });
    expect(withFallback(debian612)).toEqual({ layout: layoutOf(debian612), asked: [] });
  });

  test('what every kernel has is asked for', () => {
    const silent = debian612.replace(
      /^(SIZE\(page\)|OFFSET\(page.private\)|OFFSET\(page.compound_head\))=.*\n/gm,
      '',
    );
    const { layout, asked } = withFallback(silent, {
      'SIZE(page)': '64',
      'OFFSET(page.private)': '40',
      'OFFSET(page.compound_info)': '8',
    });
    expect(layout).toEqual(layoutOf(debian612));
    expect(asked).not.toContain('NUMBER(PG_slab)');
  });

  test('marks of slab and hugetlb pages are asked for when no form of them is exported', () => {
    const silent = debian612.replace(/^NUMBER\(PAGE_(SLAB|HUGETLB)_.*\n/gm, '');
    const { layout } = withFallback(silent, {
      'NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)': '-184549376',
      'NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)': '-201326592',
    });
    expect(layout).toEqual(layoutOf(debian612));
  });

  test('flags and types that only some kernels have are never taken from elsewhere', () => {
    const { layout } = withFallback(debian61.replace(/^NUMBER\(PAGE_OFFLINE.*\n/m, ''), {
      'NUMBER(PG_hwpoison)': '20',
      'NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)': '-257',
      'NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)': '-1',
      'NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)': '-2',
      'NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)': '-3',
    });
    expect(layout).toMatchObject({
      hwpoison: undefined,
      offlineType: undefined,
      unacceptedType: undefined,
      slabType: undefined,
      compound: { hugetlb: { by: 'destructor' } },
    });
  });

  test('a kernel that does not even export how it marks free pages is asked for all its marks', () => {
    const answers = {
      'NUMBER(PG_hwpoison)': '20',
      'NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)': '-268435456',
      'NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)': '-251658240',
    };
    const silent = debian612.replace(/^NUMBER\((PG_hwpoison|PAGE_(BUDDY|OFFLINE)_.*)\)=.*\n/gm, '');
    expect(withFallback(silent, answers).layout).toEqual(layoutOf(debian612));
  });

  test('without a mark of hugetlb pages, compound pages have their order all the same', () => {
    const never = { by: 'type', value: 2 ** 40 };
    const older = debian61.replace(/^NUMBER\(HUGETLB.*\n/m, '');
    expect(withFallback(older).layout.compound).toEqual({ orderWord: 4, orderShift: 8, hugetlb: never });
    const newer = debian612.replace(/^NUMBER\(PAGE_HUGETLB.*\n/m, '');
    const { layout } = withFallback(newer, { 'OFFSET(folio._flags_1)': '64' });
    expect(layout.compound).toEqual({ orderWord: 0, orderShift: 0, hugetlb: never });
    expect(withFallback(newer).layout.compound).toBeUndefined();
  });
});
