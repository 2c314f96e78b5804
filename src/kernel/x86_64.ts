import { KdumpError } from '../lib/errors.ts';
import type { Architecture } from './arch.ts';
import {
  type AddressTranslator,
  isMissing,
  type MappedRun,
  type Missing,
  missing,
  type PhysicalMemory,
} from './memory.ts';

/** __START_KERNEL_map: where the kernel image is mapped (arch/x86/include/asm/page_64_types.h). */
const startKernelMap = 0xffff_ffff_8000_0000n;

const EM_X86_64 = 62;
const pageShift = 12;
const tableBytes = 4096;
const present = 1;
/** PS: a leaf above the last level. */
const largePage = 0x80;
/** Bits 51..12 of an entry. */
const frameMask = 0x000f_ffff_ffff_f000n;
/** Low address bit of each level's index, from the root of five levels down. */
const levelShifts = [48, 39, 30, 21, 12] as const;

export const x86_64: Architecture = {
  name: 'x86_64',
  elfMachine: EM_X86_64,
  pageSize: 4096,
  sectionSizeBits: 27,
  maxPhysmemBits: 46,

  // NUMBER(phys_base) since 4.10; before that the kernel-text PT_LOAD tells (makedumpfile arch/x86_64.c:149-190).
  physBase(info, segments) {
    const exported = info.number('phys_base');
    if (exported !== undefined) return exported;
    const text = segments.find((segment) => segment.vaddr >= startKernelMap);
    return text === undefined ? 0n : BigInt(text.paddr) - (text.vaddr - startKernelMap);
  },

  translator(info, physical, physBase) {
    const root =
      info.symbol('init_top_pgt') ?? info.symbol('init_level4_pgt') ?? info.symbol('swapper_pg_dir');
    if (root === undefined)
      throw new KdumpError('bad-vmcoreinfo', 'VMCOREINFO: no SYMBOL(swapper_pg_dir), so no page tables');
    const encryption = info.number('sme_mask') ?? 0n;
    const rootPhysical = (root - startKernelMap + physBase) & ~encryption;
    const fiveLevels = (info.number('pgtable_l5_enabled') ?? 0n) !== 0n;
    return new PageTableWalk(physical, Number(rootPhysical), frameMask & ~encryption, fiveLevels ? 0 : 1);
  },
};

/** Intel SDM vol. 3A, 4.5: four- and five-level paging. Entries are read by physical address. */
class PageTableWalk implements AddressTranslator {
  readonly #physical: PhysicalMemory;
  readonly #root: number;
  readonly #frame: bigint;
  /** Index into levelShifts of the root: 0 with five levels, 1 with four. */
  readonly #firstLevel: number;
  /** Table pages seen before: walks of neighbouring addresses share all but the last. A few hundred at most are used. */
  readonly #tables = new Map<number, DataView | Missing>();

  constructor(physical: PhysicalMemory, root: number, frame: bigint, firstLevel: number) {
    this.#physical = physical;
    this.#root = root;
    this.#frame = frame;
    this.#firstLevel = firstLevel;
  }

  translate(vaddr: bigint): MappedRun | Missing {
    let table = this.#root;
    for (let level = this.#firstLevel; level < levelShifts.length; level++) {
      const shift = levelShifts[level]!;
      const index = Number((vaddr >> BigInt(shift)) & 0x1ffn);
      const view = this.#table(table);
      if (isMissing(view)) return view;
      const entry = view.getBigUint64(index * 8, true);
      const low = Number(entry & 0xfffn);
      if ((low & present) === 0) return missing('unmapped', vaddr);
      const isLeaf = shift === pageShift || ((low & largePage) !== 0 && shift <= 30);
      if (isLeaf) {
        // Within a large page the low frame bits belong to the offset (and bit 12 is PAT there).
        const size = 2 ** shift;
        const base = Number(entry & this.#frame);
        const inside = Number(vaddr & BigInt(size - 1));
        return { vaddr, paddr: base - (base % size) + inside, length: size - inside };
      }
      table = Number(entry & this.#frame);
    }
    return missing('unmapped', vaddr);
  }

  #table(paddr: number): DataView | Missing {
    let view = this.#tables.get(paddr);
    if (view === undefined) {
      const bytes = new Uint8Array(tableBytes);
      view = this.#physical.readInto(paddr, bytes) ?? new DataView(bytes.buffer);
      if (this.#tables.size >= maxCachedTables) this.#tables.clear();
      this.#tables.set(paddr, view);
    }
    return view;
  }
}

/** 4 KiB each, so at most 1 MiB; sequential walks touch four or five tables at a time. */
const maxCachedTables = 256;
