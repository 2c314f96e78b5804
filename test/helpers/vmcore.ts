import { writeFileSync } from 'node:fs';

/**
 * Builds small ELF64 x86_64 vmcores of a kernel that never ran: page tables, memory sections, struct pages, utsname and
 * VMCOREINFO, a few MiB in all. Every corner of the format in kilobytes, without a virtual machine.
 */
export const pageSize = 4096;
export const startKernelMap = 0xffff_ffff_8000_0000n;

/** Flags of the kernel that is imitated (6.12). */
export const PG = {
  lru: 5,
  head: 6,
  waiters: 7,
  swapcache: 10,
  private: 14,
  swapbacked: 17,
  hwpoison: 20,
} as const;
export const type612 = {
  buddy: 0xf0000000,
  offline: 0xf1000000,
  hugetlb: 0xf4000000,
  slab: 0xf5000000,
  unaccepted: 0xf7000000,
  none: 0xffffffff,
} as const;

export type StructPage = {
  flags?: number;
  mapping?: bigint;
  /** _mapcount or page type, unsigned. */
  type?: number;
  private?: bigint;
  compoundHead?: bigint;
};

export type VmcoreOptions = {
  /** Page frames of RAM; a multiple of 8. */
  pages?: number;
  sectionBits?: number;
  fiveLevels?: boolean;
  /** Bit that memory encryption sets in page-table entries. */
  smeMask?: bigint;
  physBase?: bigint;
  structPage?: (pfn: number) => StructPage;
  /** Content of a page; zero when it gives none. Pages that hold the kernel's own structures are not asked for. */
  content?: (pfn: number) => Uint8Array | undefined;
  /** Flags in section_mem_map beyond PRESENT and HAS_MEM_MAP. */
  sectionFlags?: bigint;
  /** Leaves holes in the mapping of struct pages: frames of 4 KiB of descriptors, counted from 0. */
  unmapped?: readonly number[];
  /** Rewrites the VMCOREINFO lines; an empty list leaves the note out. */
  vmcoreinfo?: (lines: string[]) => string[];
  /** Physical segments, in page frames; one over all pages when not given. */
  segments?: readonly { start: number; end: number }[];
  /** What utsname.release says in memory. */
  release?: string;
};

export const release = '6.12.0-test';
const vmemmap = 0xffff_ea00_0000_0000n;
const structPageSize = 64;

/** Bytes of such a vmcore, and the pages that its own structures occupy (from there to the end of memory). */
export function buildVmcore(options: VmcoreOptions = {}): {
  bytes: Buffer;
  kernelPages: number;
  pages: number;
} {
  const pages = options.pages ?? 1024;
  const sectionBits = options.sectionBits ?? 20;
  const physBase = options.physBase ?? 0x200000n;
  const sme = options.smeMask ?? 0n;
  const memory = Buffer.alloc(pages * pageSize);

  // The kernel's own structures are taken from the end of memory, downwards.
  let free = pages;
  const take = (count: number): number => {
    free -= count;
    return free * pageSize;
  };
  const kernelVirtual = (paddr: number): bigint => BigInt(paddr) - physBase + startKernelMap;

  const memmapBytes = Math.ceil((pages * structPageSize) / pageSize) * pageSize;
  const memmap = take(memmapBytes / pageSize);
  const roots = take(1);
  const sections = take(1);
  const uts = take(1);
  const root = take(1);

  const shifts = options.fiveLevels ? [48, 39, 30, 21, 12] : [39, 30, 21, 12];
  const map = (vaddr: bigint, paddr: number): void => {
    let table = root;
    for (const shift of shifts) {
      const at = table + Number((vaddr >> BigInt(shift)) & 0x1ffn) * 8;
      if (shift === 12) {
        memory.writeBigUInt64LE(BigInt(paddr) | sme | 0x8000_0000_0000_0163n, at);
        return;
      }
      let entry = memory.readBigUInt64LE(at);
      if (entry === 0n) {
        entry = BigInt(take(1)) | sme | 0x67n;
        memory.writeBigUInt64LE(entry, at);
      }
      table = Number(entry & 0x000f_ffff_ffff_f000n & ~sme);
    }
  };
  for (let at = 0; at < memmapBytes; at += pageSize) {
    if (!options.unmapped?.includes(at / pageSize)) map(vmemmap + BigInt(at), memmap + at);
  }
  for (const paddr of [roots, sections, uts]) map(kernelVirtual(paddr), paddr);

  const sectionCount = Math.ceil(pages / (2 ** sectionBits / pageSize));
  memory.writeBigUInt64LE(kernelVirtual(sections), roots);
  for (let nr = 0; nr < sectionCount; nr++) {
    memory.writeBigUInt64LE(vmemmap | 3n | (options.sectionFlags ?? 0n), sections + nr * 16);
  }
  for (const [i, text] of [
    'Linux',
    'host',
    options.release ?? release,
    '#1 SMP',
    'x86_64',
    '(none)',
  ].entries()) {
    memory.write(text, uts + i * 65, 'latin1');
  }
  for (let pfn = 0; pfn < pages; pfn++) {
    const at = memmap + pfn * structPageSize;
    const page = options.structPage?.(pfn) ?? {};
    memory.writeUInt32LE((page.flags ?? 0) >>> 0, at);
    memory.writeBigUInt64LE(page.compoundHead ?? 0n, at + 8);
    memory.writeBigUInt64LE(page.mapping ?? 0n, at + 24);
    memory.writeBigUInt64LE(page.private ?? 0n, at + 40);
    memory.writeUInt32LE((page.type ?? type612.none) >>> 0, at + 48);
  }
  for (let pfn = 0; pfn < free; pfn++) {
    const content = options.content?.(pfn);
    if (content) memory.set(content.subarray(0, pageSize), pfn * pageSize);
  }

  const hex = (value: bigint): string => value.toString(16);
  const lines = [
    `OSRELEASE=${release}`,
    `PAGESIZE=${pageSize}`,
    `SYMBOL(init_uts_ns)=${hex(kernelVirtual(uts))}`,
    'OFFSET(uts_namespace.name)=0',
    `SYMBOL(swapper_pg_dir)=${hex(kernelVirtual(root))}`,
    `SYMBOL(mem_section)=${hex(kernelVirtual(roots))}`,
    `LENGTH(mem_section)=${2 ** (46 - sectionBits) / 256}`,
    'SIZE(mem_section)=16',
    'OFFSET(mem_section.section_mem_map)=0',
    `NUMBER(SECTION_SIZE_BITS)=${sectionBits}`,
    'NUMBER(MAX_PHYSMEM_BITS)=46',
    `SIZE(page)=${structPageSize}`,
    'OFFSET(page.flags)=0',
    'OFFSET(page._refcount)=52',
    'OFFSET(page.mapping)=24',
    'OFFSET(page._mapcount)=48',
    'OFFSET(page.private)=40',
    'OFFSET(page.compound_head)=8',
    'LENGTH(zone.free_area)=11',
    `NUMBER(PG_lru)=${PG.lru}`,
    `NUMBER(PG_private)=${PG.private}`,
    `NUMBER(PG_swapcache)=${PG.swapcache}`,
    `NUMBER(PG_swapbacked)=${PG.swapbacked}`,
    `NUMBER(PG_hwpoison)=${PG.hwpoison}`,
    `NUMBER(PG_head_mask)=${1 << PG.head}`,
    `NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=${type612.slab | 0}`,
    `NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=${type612.buddy | 0}`,
    `NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=${type612.hugetlb | 0}`,
    `NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=${type612.offline | 0}`,
    `NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=${type612.unaccepted | 0}`,
    `NUMBER(phys_base)=${physBase}`,
    `NUMBER(pgtable_l5_enabled)=${options.fiveLevels ? 1 : 0}`,
    `NUMBER(sme_mask)=${sme}`,
    'CRASHTIME=1700000000',
  ];
  const chosen = options.vmcoreinfo?.(lines) ?? lines;
  const notes = [note('CORE', 1, Buffer.alloc(336, 0x11)), note('CORE', 1, Buffer.alloc(336, 0x22))];
  if (chosen.length > 0) notes.push(note('VMCOREINFO', 0, Buffer.from(`${chosen.join('\n')}\n`)));
  const segments = options.segments ?? [{ start: 0, end: pages }];
  return { bytes: elfCore(Buffer.concat(notes), memory, segments), kernelPages: free, pages };
}

/** Writes such a vmcore to a file. */
export function writeVmcore(
  path: string,
  options: VmcoreOptions = {},
): { kernelPages: number; pages: number } {
  const { bytes, ...rest } = buildVmcore(options);
  writeFileSync(path, bytes);
  return rest;
}

/** A page of text that compresses. */
export function textPage(pfn: number): Buffer {
  return Buffer.from(`page frame ${pfn} of the test kernel\n`.repeat(200)).subarray(0, pageSize);
}

/** A page that no codec makes smaller, different for every seed. */
export function noisePage(seed: number): Buffer {
  const page = Buffer.alloc(pageSize);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < pageSize; at += 4) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    page.writeInt32LE(state | 0, at);
  }
  return page;
}

export function note(name: string, type: number, description: Buffer): Buffer {
  const align = (n: number): number => Math.ceil(n / 4) * 4;
  const bytes = Buffer.alloc(12 + align(name.length + 1) + align(description.length));
  bytes.writeUInt32LE(name.length + 1, 0);
  bytes.writeUInt32LE(description.length, 4);
  bytes.writeUInt32LE(type, 8);
  bytes.write(name, 12, 'latin1');
  description.copy(bytes, 12 + align(name.length + 1));
  return bytes;
}

function elfCore(notes: Buffer, memory: Buffer, segments: readonly { start: number; end: number }[]): Buffer {
  const phnum = 1 + segments.length;
  const notesAt = 64 + phnum * 56;
  const dataAt = Math.ceil((notesAt + notes.length) / pageSize) * pageSize;
  const parts: Buffer[] = [];
  const headers = Buffer.alloc(dataAt);
  headers.write('\x7fELF', 0, 'latin1');
  headers.set([2, 1, 1], 4);
  headers.writeUInt16LE(4, 16);
  headers.writeUInt16LE(62, 18);
  headers.writeUInt32LE(1, 20);
  headers.writeBigUInt64LE(64n, 32);
  headers.writeUInt16LE(64, 52);
  headers.writeUInt16LE(56, 54);
  headers.writeUInt16LE(phnum, 56);
  const header = (i: number, type: number, offset: number, paddr: number, size: number): void => {
    const at = 64 + i * 56;
    headers.writeUInt32LE(type, at);
    headers.writeUInt32LE(7, at + 4);
    headers.writeBigUInt64LE(BigInt(offset), at + 8);
    headers.writeBigUInt64LE(type === 1 ? BigInt(paddr) + 0xffff_8880_0000_0000n : 0n, at + 16);
    headers.writeBigUInt64LE(BigInt(paddr), at + 24);
    headers.writeBigUInt64LE(BigInt(size), at + 32);
    headers.writeBigUInt64LE(BigInt(size), at + 40);
  };
  header(0, 4, notesAt, 0, notes.length);
  notes.copy(headers, notesAt);
  let at = dataAt;
  for (const [i, segment] of segments.entries()) {
    const piece = memory.subarray(segment.start * pageSize, segment.end * pageSize);
    header(i + 1, 1, at, segment.start * pageSize, piece.length);
    parts.push(piece);
    at += piece.length;
  }
  return Buffer.concat([headers, ...parts]);
}
