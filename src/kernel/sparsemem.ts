import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { KdumpError } from '../lib/errors.ts';
import type { Architecture } from './arch.ts';
import { isMissing, u64At, type VirtualMemory } from './memory.ts';

/**
 * SPARSEMEM_EXTREME: where the struct page array of each memory section lies (include/linux/mmzone.h, mm/sparse.c).
 *
 *   mem_section[nr / SECTIONS_PER_ROOT] → root → [nr % SECTIONS_PER_ROOT].section_mem_map
 *   section_mem_map = (mem_map - section_start_pfn * sizeof(struct page)) | flags
 */
export type SectionMap = {
  readonly pagesPerSection: number;
  /** sizeof(struct page), bytes. */
  readonly pageStructSize: number;
  /** Virtual address at which the struct page of pfn 0 would lie, for each section; undefined when it is absent. */
  readonly bases: readonly (bigint | undefined)[];
};

/**
 * Flag bits below the address: PRESENT, HAS_MEM_MAP, ONLINE, EARLY, TAINT_ZONE_DEVICE and, since 6.15, VMEMMAP_PREINIT
 * at bit 5. The kernel keeps at least six bits free (section alignment times sizeof(struct page)), so clearing six is
 * right for every kernel; clearing five reads such sections 32 bytes off, as the C tools do.
 */
const sectionFlags = 0x3fn;
const sectionPresent = 1n;

/** Sections of 64 MiB, the smallest there are, make 1 PiB of that. */
const maxSections = 2 ** 24;

/**
 * Reads the section table of a kernel.
 * @param maxPfn number of page frames that the dump covers
 * @throws KdumpError `no-mem-map` when the kernel exports no SPARSEMEM or the table cannot be read
 */
export function readSections(
  info: Vmcoreinfo,
  arch: Architecture,
  memory: VirtualMemory,
  maxPfn: number,
  pageSize: number,
): SectionMap {
  const table = info.symbol('mem_section');
  const sectionSize = info.size('mem_section');
  const member = info.offset('mem_section.section_mem_map');
  const pageStructSize = info.size('page');
  if (
    table === undefined ||
    sectionSize === undefined ||
    member === undefined ||
    pageStructSize === undefined
  ) {
    throw new KdumpError(
      'no-mem-map',
      'VMCOREINFO does not describe SPARSEMEM (mem_section, page): pages cannot be told apart',
      {
        fix: 'Dump levels 0 and 1 need no page descriptors and still work.',
      },
    );
  }
  const sectionBits = Number(info.number('SECTION_SIZE_BITS') ?? arch.sectionSizeBits);
  const pagesPerSection = 2 ** sectionBits / pageSize;
  const count = Math.ceil(maxPfn / pagesPerSection);
  if (!(pagesPerSection >= 1 && count <= maxSections) || member + 8 > sectionSize) {
    throw new KdumpError(
      'no-mem-map',
      `VMCOREINFO describes sections that cannot be: ${count} of 2^${sectionBits} bytes, section_mem_map at byte ${member} of ${sectionSize}`,
    );
  }
  const perRoot = isExtreme(info, arch, pageSize, sectionSize, sectionBits)
    ? Math.floor(pageSize / sectionSize)
    : 1;

  const bases: (bigint | undefined)[] = new Array(count);
  // With a vmemmap it is the same one for all sections: kept once, not 100,000 times.
  let last: bigint | undefined;
  const keep = (nr: number, encoded: bigint): void => {
    const base = sectionBase(encoded);
    if (base !== last) last = base;
    bases[nr] = last;
  };
  if (perRoot === 1) {
    const sections = memory.read(table, count * sectionSize);
    if (isMissing(sections)) throw unreadable(table);
    for (let nr = 0; nr < count; nr++) keep(nr, u64At(sections, nr * sectionSize + member));
  } else {
    const roots = memory.read(table, Math.ceil(count / perRoot) * 8);
    if (isMissing(roots)) throw unreadable(table);
    for (let nr = 0; nr < count; nr += perRoot) {
      const root = u64At(roots, (nr / perRoot) * 8);
      if (root === 0n) continue;
      const here = Math.min(perRoot, count - nr);
      const sections = memory.read(root, here * sectionSize);
      // One lost root costs the classification of its sections, not the dump: their pages are kept and counted.
      if (isMissing(sections)) continue;
      for (let i = 0; i < here; i++) keep(nr + i, u64At(sections, i * sectionSize + member));
    }
  }
  if (bases.every((base) => base === undefined)) throw unreadable(table);
  return { pagesPerSection, pageStructSize, bases };
}

/** Page frames up to the end of the last section that has page descriptors: no dump needs to reach farther. */
export function endOfSections(sections: SectionMap): number {
  return (sections.bases.findLastIndex((base) => base !== undefined) + 1) * sections.pagesPerSection;
}

/** EXTREME when the exported array has one entry per root, or the length is not exported (makedumpfile.c:2292). */
function isExtreme(
  info: Vmcoreinfo,
  arch: Architecture,
  pageSize: number,
  sectionSize: number,
  sectionBits: number,
): boolean {
  const length = info.arrayLength('mem_section');
  if (length === undefined) return true;
  const physmemBits = Number(info.number('MAX_PHYSMEM_BITS') ?? arch.maxPhysmemBits);
  const sections = 2 ** (physmemBits - sectionBits);
  return length === Math.ceil(sections / Math.floor(pageSize / sectionSize));
}

function sectionBase(encoded: bigint): bigint | undefined {
  return (encoded & sectionPresent) === 0n ? undefined : encoded & ~sectionFlags;
}

function unreadable(address: bigint): KdumpError {
  return new KdumpError(
    'no-mem-map',
    `no memory section can be read through mem_section at 0x${address.toString(16)}`,
  );
}
