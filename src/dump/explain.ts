import { PT_LOAD } from '../formats/elf.ts';
import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { isMissing, u64At, VirtualMemory } from '../kernel/memory.ts';
import type { PageLayout } from '../kernel/page.ts';
import { imageRanges, perCpuRanges, tableRanges } from '../kernel/protected.ts';
import type { PfnRange } from '../lib/bitmap.ts';
import { PageBitmap } from '../lib/bitmap.ts';
import { KdumpError } from '../lib/errors.ts';
import { excludePages } from './filter/filter.ts';
import { type Doubts, type Excluded, level, maxLevel, type Verdict } from './filter/kinds.ts';
import { mapPages, type PageDescriptors, type PageMap } from './filter/page-map.ts';
import { ElfSource } from './input/elf-source.ts';
import type { DumpSource } from './input/source.ts';

/** Why a page is kept or left out; plain JSON. Addresses and raw fields are "0x…", page frames numbers. */
export type Explanation = {
  readonly pfn: number;
  readonly physical: string;
  readonly pageSize: number;
  readonly dumpLevel: number;
  /** Whether the file has the page, and where it says so. */
  readonly place: { readonly state: PlaceState; readonly where: readonly string[] };
  /** The page's struct page; null when it cannot be found or read. */
  readonly descriptor: DescriptorFields | null;
  /** The block that the page is one of: its first page frame, and the logarithm of how many there are. */
  readonly block: {
    readonly kind: 'compound' | 'free';
    readonly head: number;
    readonly order: number;
  } | null;
  /** Null when the page cannot be read. */
  readonly content: 'zero' | 'data' | null;
  /** What of the kernel's own it lies in: there no filter takes a page for user data or page cache. */
  readonly kernelPart: 'kernel image' | 'page table' | 'per-CPU area' | null;
  readonly kept: boolean;
  /**
   * What decides at this level: a reason of the filter when it leaves the page out (also of one that is missing in a
   * filtered dump, whose descriptor still tells), else why the page is there, or is not.
   */
  readonly reason: Reason;
  /** Every dump level at which the page is left out. */
  readonly leftOutAt: readonly number[];
  /** What was told while the dump was looked at. */
  readonly messages: readonly string[];
};

export type PlaceState =
  | 'stored'
  /** Described, but its content is not there: left out when the file was made. */
  | 'missing'
  | 'hole'
  /** Above everything that is described. */
  | 'beyond';

export type Reason =
  | keyof Excluded
  /** Its content is not in the input. */
  | 'missing'
  | 'hole'
  | 'beyond'
  /** Page descriptors cannot be found at all; see the messages. */
  | 'not-understood'
  | 'unreadable-descriptor'
  | 'bad-order'
  | 'protected'
  /** Nothing in its descriptor says that it is of a kind that this level leaves out. */
  | 'kernel-data';

export type DescriptorFields = {
  /** Virtual address of the struct page. */
  readonly address: string;
  readonly flags: string;
  /** Names of the set ones among the flags that decide. */
  readonly flagNames: readonly string[];
  /** _mapcount, or the page type where pages have one. */
  readonly mapcount: string;
  readonly type: string | null;
  readonly refcount: number | null;
  readonly mapping: string;
  readonly private: string;
  readonly compoundHead: string;
  readonly tail: boolean;
};

export type ExplainOptions = { readonly vmcoreinfo?: Vmcoreinfo | undefined };

/** Blocks begin at a multiple of their size, and none is larger than a hugetlb page of 1 GiB. */
const windowFrames = 2 ** 18;

/**
 * Tells why a page frame is kept or left out at a dump level. The decision is not made again here: the filter itself
 * judges the memory around the page, and what it does is watched.
 * @param dumpLevel 0 to 31
 * @throws KdumpError `usage` for a page frame that is none, or what mapPages throws
 */
export function explainPage(
  source: DumpSource,
  pfn: number,
  dumpLevel: number,
  options: ExplainOptions = {},
): Explanation {
  if (!Number.isSafeInteger(pfn) || pfn < 0)
    throw new KdumpError('usage', `option '--explain': ${pfn} is not a page frame number`);
  const messages: string[] = [];
  const info = options.vmcoreinfo ?? source.vmcoreinfo;
  const map = mapPages(source, info === undefined ? 0 : maxLevel, (text) => messages.push(text), {
    vmcoreinfo: info,
    always: true,
  });
  const { pageSize } = map;
  const place = placeOf(source, map, pfn);
  const content = place.state === 'stored' ? contentOf(source, pfn, pageSize) : null;
  const descriptors = map.descriptors && withCache(map.descriptors);
  const raw = descriptors && readDescriptor(descriptors, pfn);
  const isThere = place.state === 'stored';
  const isDescribed = isThere || place.state === 'missing';
  const judge = descriptors && new Judge(source, map, descriptors, pfn, isThere);

  const filterReasons = new Map<number, keyof Excluded>();
  if (judge !== undefined && isDescribed) {
    // Zero pages are not the filter's business, so only every second level differs.
    for (let filterLevel = 0; filterLevel <= maxLevel; filterLevel += 2) {
      const reason = judge.reasonAt(filterLevel);
      if (reason !== undefined) filterReasons.set(filterLevel, reason);
    }
  }
  const leftOut = (at: number): keyof Excluded | undefined =>
    filterReasons.get(at & ~level.zero) ??
    ((at & level.zero) !== 0 && content === 'zero' ? 'zero' : undefined);

  const block = raw && descriptors ? blockOf(descriptors, map, pfn, raw) : undefined;
  const dropped = isDescribed ? leftOut(dumpLevel) : undefined;
  return {
    pfn,
    physical: hex(BigInt(pfn) * BigInt(pageSize)),
    pageSize,
    dumpLevel,
    place,
    descriptor: raw && descriptors && info ? fieldsOf(raw, descriptors.page, info) : null,
    block: block ?? null,
    content,
    kernelPart: kernelPartOf(source, map, pfn),
    kept: isThere && dropped === undefined,
    reason: dropped ?? whyKept(place.state, judge, raw, dumpLevel, block?.head ?? pfn),
    leftOutAt: isDescribed ? levels.filter((at) => leftOut(at) !== undefined) : [],
    messages,
  };
}

const levels = Array.from({ length: maxLevel + 1 }, (_, at) => at);

function whyKept(
  state: PlaceState,
  judge: Judge | undefined,
  raw: RawDescriptor | undefined,
  dumpLevel: number,
  head: number,
): Reason {
  if (state !== 'stored') return state;
  if (judge === undefined) return 'not-understood';
  if (raw === undefined) return 'unreadable-descriptor';
  const doubts = judge.doubtsAbout(head, dumpLevel & ~level.zero);
  if (doubts.badOrder > 0) return 'bad-order';
  if (doubts.protected > 0) return 'protected';
  return doubts.unreadable > 0 ? 'unreadable-descriptor' : 'kernel-data';
}

/** Lets the filter judge the memory around a page. */
class Judge {
  readonly #source: DumpSource;
  readonly #map: PageMap;
  readonly #descriptors: PageDescriptors;
  readonly #pfn: number;
  /** Whether only pages that the file holds are judged, as in a dump of it; otherwise all that it describes. */
  readonly #held: boolean;

  constructor(source: DumpSource, map: PageMap, descriptors: PageDescriptors, pfn: number, held: boolean) {
    this.#source = source;
    this.#map = map;
    this.#descriptors = descriptors;
    this.#pfn = pfn;
    this.#held = held;
  }

  /** Why the filter drops the page at a level, or undefined when it does not. */
  reasonAt(dumpLevel: number): keyof Excluded | undefined {
    const all = this.#window();
    const verdict = this.#judge(all, dumpLevel);
    if (all.has(this.#pfn)) return undefined;
    // The same again without the page, which is the last one of the window: its counter is the one that differs.
    const others = this.#window();
    others.clear(this.#pfn);
    const without = this.#judge(others, dumpLevel).excluded;
    return (Object.keys(without) as (keyof Excluded)[]).find(
      (reason) => verdict.excluded[reason] !== without[reason],
    );
  }

  /** What the filter doubts about one page alone. */
  doubtsAbout(pfn: number, dumpLevel: number): Doubts {
    const bitmap = new PageBitmap((pfn % 8) + 1, undefined, pfn - (pfn % 8));
    bitmap.set(pfn);
    return this.#judge(bitmap, dumpLevel).doubts;
  }

  /** The pages from the earliest one at which a block with this page may begin, up to this page. */
  #window(): PageBitmap {
    const first = this.#pfn - (this.#pfn % windowFrames);
    const bitmap = new PageBitmap(this.#pfn + 1 - first, undefined, first);
    this.#source.markPresent(bitmap, this.#map.pageSize);
    if (this.#held) this.#source.clearMissing(bitmap, this.#map.pageSize);
    return bitmap;
  }

  #judge(bitmap: PageBitmap, dumpLevel: number): Verdict {
    return excludePages({ ...this.#descriptors, dumpLevel, bitmap }, () => {});
  }
}

/** The same descriptors are judged at many levels: what has to be read or decompressed is kept. */
function withCache(descriptors: PageDescriptors): PageDescriptors {
  const { memory } = descriptors;
  const known = new Map<string, Uint8Array | ReturnType<VirtualMemory['readPhysicalInto']>>();
  const cached = new VirtualMemory(
    {
      readInto(paddr, target) {
        const key = `${paddr}+${target.length}`;
        if (!known.has(key)) known.set(key, memory.readPhysicalInto(paddr, target) ?? target.slice());
        const answer = known.get(key);
        if (!(answer instanceof Uint8Array)) return answer;
        target.set(answer);
        return undefined;
      },
      view: (paddr, length) => memory.viewPhysical(paddr, length),
    },
    { translate: (vaddr) => memory.translate(vaddr) },
  );
  return { ...descriptors, memory: cached };
}

function placeOf(source: DumpSource, { pageSize }: PageMap, pfn: number): Explanation['place'] {
  if (pfn >= source.maxPfn(pageSize)) return { state: 'beyond', where: [] };
  const bitmap = new PageBitmap((pfn % 8) + 1, undefined, pfn - (pfn % 8));
  source.markPresent(bitmap, pageSize);
  if (!bitmap.has(pfn)) return { state: 'hole', where: [] };
  source.clearMissing(bitmap, pageSize);
  const state = bitmap.has(pfn) ? 'stored' : 'missing';
  if (!(source instanceof ElfSource)) return { state, where: [] };
  const paddr = pfn * pageSize;
  const where = source.elf.programHeaders.flatMap((ph, i) => {
    const start = Number(BigInt.asIntN(64, ph.paddr));
    if (ph.type !== PT_LOAD || start < 0 || paddr + pageSize <= start || paddr >= start + ph.memsz) return [];
    const range = `${hex(start)}-${hex(start + ph.memsz)}`;
    return [`program header ${i} (${range}), file offset ${hex(ph.offset + Math.max(0, paddr - start))}`];
  });
  return { state, where };
}

function contentOf(source: DumpSource, pfn: number, pageSize: number): 'zero' | 'data' | null {
  const wanted = new PageBitmap((pfn % 8) + 1, undefined, pfn - (pfn % 8));
  wanted.set(pfn);
  const reader = source.pages(pageSize, wanted);
  if (reader.load(pfn) !== undefined) return null;
  const page = reader.bytes.subarray(reader.at, reader.at + pageSize);
  return page.every((byte) => byte === 0) ? 'zero' : 'data';
}

function kernelPartOf(
  { arch }: DumpSource,
  { kernel, pageSize }: PageMap,
  pfn: number,
): Explanation['kernelPart'] {
  if (arch === undefined || kernel === undefined || kernel.doubt !== undefined) return null;
  const within = (ranges: readonly PfnRange[]): boolean =>
    ranges.some((range) => range.start <= pfn && pfn < range.end);
  if (within(tableRanges(kernel, pageSize))) return 'page table';
  if (within(imageRanges(arch, kernel, pageSize))) return 'kernel image';
  return within(perCpuRanges(arch, kernel, pageSize)) ? 'per-CPU area' : null;
}

type RawDescriptor = { readonly address: bigint; readonly bytes: Uint8Array };

function readDescriptor({ memory, sections }: PageDescriptors, pfn: number): RawDescriptor | undefined {
  const base = sections.bases[Math.floor(pfn / sections.pagesPerSection)];
  if (base === undefined) return undefined;
  const address = BigInt.asUintN(64, base + BigInt(pfn) * BigInt(sections.pageStructSize));
  const bytes = memory.read(address, sections.pageStructSize);
  return isMissing(bytes) ? undefined : { address, bytes };
}

function fieldsOf({ address, bytes }: RawDescriptor, page: PageLayout, info: Vmcoreinfo): DescriptorFields {
  const words = wordsOf(bytes);
  const long = (word: number): string => hex(u64At(bytes, word * 4));
  const type = words[page.mapcount]!;
  const refcount = info.offset('page._refcount') ?? info.offset('page._count');
  return {
    address: hex(address),
    flags: long(page.flags),
    flagNames: flagsOf(page)
      .filter(([, flag]) => flag !== undefined && (words[flag.word]! & flag.mask) !== 0)
      .map(([name]) => name),
    mapcount: hex(type),
    type: typeName(type | 0, page),
    refcount:
      refcount === undefined || refcount % 4 !== 0 || refcount + 4 > bytes.length
        ? null
        : words[refcount / 4]! | 0,
    mapping: long(page.mapping),
    private: long(page.private),
    compoundHead: long(page.compoundHead),
    tail: isTail(words, page),
  };
}

const flagsOf = (page: PageLayout) =>
  [
    ['lru', page.lru],
    ['private', page.privateFlag],
    ['swapcache', page.swapcache],
    ['swapbacked', page.swapbacked],
    ['head', page.head],
    ['slab', page.slabFlag],
    ['hwpoison', page.hwpoison],
  ] as const;

function typeName(type: number, page: PageLayout): string | null {
  const hugetlb = page.compound?.hugetlb;
  if (type === page.buddyType) return 'buddy';
  if (type === page.slabType) return 'slab';
  if (type === page.offlineType) return 'offline';
  if (type === page.unacceptedType) return 'unaccepted';
  return hugetlb?.by === 'type' && type === hugetlb.value ? 'hugetlb' : null;
}

const isTail = (words: Uint32Array, page: PageLayout): boolean => (words[page.compoundHead]! & 1) !== 0;

/** The compound page or the free block that a page is one of. */
function blockOf(
  descriptors: PageDescriptors,
  map: PageMap,
  pfn: number,
  raw: RawDescriptor,
): Explanation['block'] | undefined {
  const { page } = descriptors;
  const tail = isTail(wordsOf(raw.bytes), page);
  const pointer = u64At(raw.bytes, page.compoundHead * 4) & ~1n;
  // Since 7.1 a tail may keep the mask that leads from its own address to its head's.
  const masked = raw.address & pointer;
  for (let order = 0; 2 ** order <= windowFrames; order++) {
    const head = pfn - (pfn % 2 ** order);
    if (order > 0 && head === pfn - (pfn % 2 ** (order - 1))) continue;
    if (head >= map.maxPfn) continue;
    const candidate = head === pfn ? raw : readDescriptor(descriptors, head);
    if (candidate === undefined) continue;
    const words = wordsOf(candidate.bytes);
    if (tail) {
      if (candidate.address !== pointer && candidate.address !== masked) continue;
      return { kind: 'compound', head, order: compoundOrder(descriptors, head) ?? order };
    }
    const isHead = (words[page.head.word]! & page.head.mask) !== 0;
    if (head === pfn && isHead) {
      const own = compoundOrder(descriptors, head);
      if (own !== undefined) return { kind: 'compound', head, order: own };
    }
    const free = words[page.private]!;
    if ((words[page.mapcount]! | 0) === page.buddyType && free < page.orders && pfn < head + 2 ** free)
      return { kind: 'free', head, order: free };
  }
  return undefined;
}

/** Order of the compound page with this head, as its first tail tells it. */
function compoundOrder(descriptors: PageDescriptors, head: number): number | undefined {
  const { compound } = descriptors.page;
  const next = compound && readDescriptor(descriptors, head + 1);
  if (compound === undefined || next === undefined) return undefined;
  const words = wordsOf(next.bytes);
  if (!isTail(words, descriptors.page)) return undefined;
  return (words[compound.orderWord]! >>> compound.orderShift) & 0xff;
}

const wordsOf = (bytes: Uint8Array): Uint32Array =>
  new Uint32Array(bytes.slice().buffer, 0, Math.floor(bytes.length / 4));

const sentences: Readonly<Record<Reason, string>> = {
  zero: 'its content is zero',
  cache: 'it is page cache without private data',
  cachePrivate: 'it is page cache with private data',
  user: 'it is user data: anonymous memory or a hugetlb page',
  free: 'it is free',
  hwpoison: 'the hardware lost its content (hwpoison); such pages are never dumped',
  offline: 'it is offline; such pages are never dumped',
  missing: 'the file describes it, but its content was left out when the file was made',
  hole: 'the file does not describe it: there is no memory, or it was not dumped',
  beyond: 'it lies above all memory that the file describes',
  'not-understood': 'the page descriptors cannot be found',
  'unreadable-descriptor': 'its page descriptor cannot be read, so nothing is known of it',
  'bad-order': 'it claims to begin a free block of an order that the kernel does not have',
  protected: 'it looks like user data or page cache, but is part of the kernel itself',
  'kernel-data': 'nothing says that it is of a kind that this level leaves out',
};

/** The explanation as lines for people. */
export function formatExplanation(explained: Explanation): string {
  const { place, descriptor, block, reason } = explained;
  const lines = [
    `Page frame ${hex(explained.pfn)} (${explained.pfn}), physical address ${explained.physical}`,
    ...place.where.map((where) => `  in ${where}`),
  ];
  if (descriptor !== null) {
    const names = descriptor.flagNames.length === 0 ? 'none that decides' : descriptor.flagNames.join(', ');
    lines.push(
      `  struct page at ${descriptor.address}`,
      `    flags         ${descriptor.flags} (${names})`,
      `    _mapcount     ${descriptor.mapcount}${descriptor.type === null ? '' : ` (${descriptor.type})`}`,
      ...(descriptor.refcount === null ? [] : [`    _refcount     ${descriptor.refcount}`]),
      `    mapping       ${descriptor.mapping}`,
      `    private       ${descriptor.private}`,
      `    compound_head ${descriptor.compoundHead}${descriptor.tail ? ' (a tail page)' : ''}`,
    );
  }
  if (block !== null) {
    const what = block.kind === 'free' ? 'free block' : 'compound page';
    const role = block.head === explained.pfn ? 'the first page of' : 'in';
    lines.push(`  ${role} the ${what} at page frame ${hex(block.head)}, order ${block.order}`);
  }
  if (explained.content !== null) lines.push(`  content: ${explained.content}`);
  if (explained.kernelPart !== null) lines.push(`  part of the kernel's own: ${explained.kernelPart}`);
  lines.push(...explained.messages.map((text) => `  ${text}`));
  const described = place.state === 'stored' || place.state === 'missing';
  if (place.state === 'missing' && reason !== 'missing') lines.push(`  ${sentences.missing}`);
  const notThere = reason === place.state;
  const verdict = explained.kept ? 'kept' : notThere ? 'not there' : 'left out';
  lines.push(`At dump level ${explained.dumpLevel} it is ${verdict}: ${sentences[reason]}.`);
  if (described) lines.push(`It is left out at ${describeLevels(explained.leftOutAt)}.`);
  return `${lines.join('\n')}\n`;
}

/** '…every level', '…levels with 2 or 4', or the levels one by one. */
function describeLevels(dropping: readonly number[]): string {
  if (dropping.length === 0) return 'no level';
  if (dropping.length === levels.length) return 'every level';
  const bits = Object.values(level).filter((bit) => dropping.includes(bit));
  const all = bits.reduce((sum, bit) => sum | bit, 0);
  if (levels.every((at) => dropping.includes(at) === ((at & all) !== 0)))
    return `levels with ${bits.join(' or ')}`;
  return `level ${dropping.join(', ')}`;
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
