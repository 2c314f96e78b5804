import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { KdumpError } from '../lib/errors.ts';

/**
 * struct page as one kernel lays it out, ready for a loop over a Uint32Array: every place is an index of 32-bit words
 * from the start of the structure, every flag a word and a mask. Values come from VMCOREINFO; what a kernel exports
 * decides, never its version.
 */
export type PageLayout = {
  /** sizeof(struct page) in 32-bit words. */
  readonly words: number;
  readonly flags: number;
  readonly mapping: number;
  /** _mapcount, which is page_type in pages that are not mapped. */
  readonly mapcount: number;
  readonly private: number;
  /** Bit 0 of this word marks a tail page. */
  readonly compoundHead: number;

  readonly lru: PageFlag;
  readonly privateFlag: PageFlag;
  readonly swapcache: PageFlag;
  /** Undefined when the kernel has no such flag; PG_swapcache then means itself. */
  readonly swapbacked: PageFlag | undefined;
  readonly head: PageFlag;
  readonly slabFlag: PageFlag | undefined;
  readonly hwpoison: PageFlag | undefined;

  /** Values of mapcount as signed 32-bit numbers. */
  readonly slabType: number | undefined;
  readonly buddyType: number | undefined;
  readonly offlineType: number | undefined;
  readonly unacceptedType: number | undefined;

  readonly compound: CompoundLayout | undefined;
  /** NR_PAGE_ORDERS: orders at and above it are nonsense. */
  readonly orders: number;
};

export type PageFlag = { readonly word: number; readonly mask: number };

/** Where the first tail page keeps the order of its compound page, and how hugetlb pages are told. */
export type CompoundLayout = {
  /** Byte that holds the order: word index within page[1] and shift. */
  readonly orderWord: number;
  readonly orderShift: number;
  readonly hugetlb: /** 6.9 and later: page_type of the head page. */
    | { readonly by: 'type'; readonly value: number }
    /** 6.6 to 6.8: a flag in page[1]. */
    | { readonly by: 'flag'; readonly flag: PageFlag }
    /** Before 6.6: number of the destructor, a byte in page[1]. */
    | { readonly by: 'destructor'; readonly word: number; readonly shift: number; readonly value: number };
};

/** Flag numbers of kernels that export none (makedumpfile.c:2202-2241). */
const fallbackFlag = { lru: 5, private: 11, swapcache: 15 } as const;
const fallbackSlabFlag = 7;

/**
 * What a fallback of `info` costs (type information has to be found first) is paid only for what every kernel has:
 * keys whose absence means that a kernel lacks the thing are asked of its own export alone.
 * @throws KdumpError `no-mem-map` naming the key that is missing
 */
export function pageLayout(info: Vmcoreinfo): PageLayout {
  const { exported } = info;
  // Every kernel exports how it marks free pages. Of one that does not, silence about other marks means nothing either.
  const marks = type(exported, 'PAGE_BUDDY_MAPCOUNT_VALUE') === undefined ? info : exported;
  const size = required(info.size('page'), 'SIZE(page)');
  const flags = word(required(info.offset('page.flags'), 'OFFSET(page.flags)'));
  const { slabType, slabFlag } = slabMarks(exported) ?? slabMarks(info) ?? noSlabMarks;
  const swapcache = flagNumber(info, 'PG_swapcache') ?? fallbackFlag.swapcache;
  const privateFlag = flagNumber(info, 'PG_private') ?? fallbackFlag.private;
  const bit = (number: number): PageFlag => flagAt(flags, number);
  const optionalBit = (number: number | undefined): PageFlag | undefined =>
    number === undefined ? undefined : bit(number);

  return {
    words: size / 4,
    flags,
    mapping: word(required(info.offset('page.mapping'), 'OFFSET(page.mapping)')),
    mapcount: word(required(info.offset('page._mapcount'), 'OFFSET(page._mapcount)')),
    private: word(required(info.offset('page.private'), 'OFFSET(page.private)')),
    // Renamed in 7.1; bit 0 means the same.
    compoundHead: word(
      required(
        exported.offset('page.compound_head') ??
          exported.offset('page.compound_info') ??
          info.offset('page.compound_head') ??
          info.offset('page.compound_info'),
        'OFFSET(page.compound_head)',
      ),
    ),
    lru: bit(flagNumber(info, 'PG_lru') ?? fallbackFlag.lru),
    privateFlag: bit(privateFlag),
    swapcache: bit(swapcache),
    swapbacked: optionalBit(flagNumber(info, 'PG_swapbacked') ?? impliedSwapbacked(swapcache, privateFlag)),
    head: maskFlag(flags, required(info.number('PG_head_mask'), 'NUMBER(PG_head_mask)')),
    // Slab is a page type since 6.10. Bit 7, which the original still tests there, is PG_waiters by then.
    slabFlag: optionalBit(slabFlag ?? (slabType === undefined ? fallbackSlabFlag : undefined)),
    hwpoison: optionalBit(flagNumber(marks, 'PG_hwpoison')),
    slabType,
    buddyType: type(info, 'PAGE_BUDDY_MAPCOUNT_VALUE'),
    offlineType: type(marks, 'PAGE_OFFLINE_MAPCOUNT_VALUE'),
    unacceptedType: type(marks, 'PAGE_UNACCEPTED_MAPCOUNT_VALUE'),
    compound:
      compoundLayout(exported, size, flags) ??
      compoundLayout(info, size, flags) ??
      compoundOrder(info, size, flags),
    orders: required(info.arrayLength('zone.free_area'), 'LENGTH(zone.free_area)'),
  };
}

type SlabMarks = { readonly slabType: number | undefined; readonly slabFlag: number | undefined };
const noSlabMarks: SlabMarks = { slabType: undefined, slabFlag: undefined };

/** A page type since 6.10, a flag before; undefined when neither is known. */
function slabMarks(info: Vmcoreinfo): SlabMarks | undefined {
  const slabType = type(info, 'PAGE_SLAB_MAPCOUNT_VALUE');
  const slabFlag = flagNumber(info, 'PG_slab');
  return slabType === undefined && slabFlag === undefined ? undefined : { slabType, slabFlag };
}

function compoundLayout(info: Vmcoreinfo, size: number, flags: number): CompoundLayout | undefined {
  const hugetlbType = type(info, 'PAGE_HUGETLB_MAPCOUNT_VALUE');
  // From 6.6 on the order is the low byte of the first tail page's flags (folio._flags_1).
  if (hugetlbType !== undefined)
    return { orderWord: flags, orderShift: 0, hugetlb: { by: 'type', value: hugetlbType } };
  const hugetlbFlag = flagNumber(info, 'PG_hugetlb');
  if (hugetlbFlag !== undefined) {
    return { orderWord: flags, orderShift: 0, hugetlb: { by: 'flag', flag: flagAt(flags, hugetlbFlag) } };
  }
  const order = orderOffset(info, size);
  const destructor = inTail(info, 'folio._folio_dtor', size) ?? info.offset('page.compound_dtor');
  const value = info.number('HUGETLB_PAGE_DTOR');
  if (order === undefined || destructor === undefined || value === undefined) return undefined;
  return {
    orderWord: order >>> 2,
    orderShift: (order & 3) * 8,
    hugetlb: { by: 'destructor', word: destructor >>> 2, shift: (destructor & 3) * 8, value: Number(value) },
  };
}

/**
 * The order alone, of a kernel that has no hugetlb pages, or marks them by a macro (some of 6.6 to 6.10), which type
 * information does not tell: pages of anonymous compound pages go together all the same.
 */
function compoundOrder(info: Vmcoreinfo, size: number, flags: number): CompoundLayout | undefined {
  const hugetlb = { by: 'type', value: noType } as const;
  const order = orderOffset(info, size);
  if (order !== undefined) return { orderWord: order >>> 2, orderShift: (order & 3) * 8, hugetlb };
  return info.offset('folio._flags_1') === undefined
    ? undefined
    : { orderWord: flags, orderShift: 0, hugetlb };
}

/** Byte offset in the first tail page, before 6.6; 6.3 to 6.5 describe the first two pages as one folio. */
function orderOffset(info: Vmcoreinfo, size: number): number | undefined {
  return inTail(info, 'folio._folio_order', size) ?? info.offset('page.compound_order');
}

function inTail(info: Vmcoreinfo, member: string, size: number): number | undefined {
  const offset = info.offset(member);
  return offset === undefined ? undefined : offset - size;
}

/** Since 4.10 PG_swapcache shares a bit with PG_owner_priv_1 and lies below PG_private (makedumpfile commit ca1f31e). */
function impliedSwapbacked(swapcache: number, privateFlag: number): number | undefined {
  return swapcache < privateFlag ? privateFlag + 6 : undefined;
}

/** No 32-bit number: a type that no page has. */
const noType = 2 ** 40;

const word = (offset: number): number => offset / 4;

function flagNumber(info: Vmcoreinfo, name: string): number | undefined {
  const value = info.number(name);
  return value === undefined ? undefined : Number(value);
}

/** Flags are an unsigned long: bit 32 and above lie in the next word. */
function flagAt(flags: number, bit: number): PageFlag {
  return { word: flags + (bit >>> 5), mask: 1 << (bit & 31) };
}

function maskFlag(flags: number, mask: bigint): PageFlag {
  return flagAt(flags, mask.toString(2).length - 1);
}

/** Page types are compared as 32-bit values; the export is a decimal of whatever sign. */
function type(info: Vmcoreinfo, name: string): number | undefined {
  const value = info.number(name);
  return value === undefined ? undefined : Number(BigInt.asIntN(32, value));
}

function required<T>(value: T | undefined, key: string): T {
  if (value === undefined)
    throw new KdumpError('no-mem-map', `VMCOREINFO has no ${key}: pages cannot be told apart`);
  return value;
}
