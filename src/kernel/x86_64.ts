import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { KdumpError } from '../lib/errors.ts';
import type { Architecture } from './arch.ts';
import { pagesBetween, type VirtualRange } from './image.ts';
import {
  type AddressTranslator,
  isMissing,
  type MappedRun,
  type Missing,
  missing,
  type PhysicalMemory,
  u64At,
  type VirtualMemory,
  type WalkStep,
} from './memory.ts';
import type { KernelSymbols } from './types.ts';

/** __START_KERNEL_map: where the kernel image is mapped (arch/x86/include/asm/page_64_types.h). */
const startKernelMap = 0xffff_ffff_8000_0000n;

const EM_X86_64 = 62;
const pageShift = 12;
const entriesOfTable = 512;
const present = 1;
/** PS: a leaf above the last level. */
const largePage = 0x80;
/** Bits 51..12 of an entry. */
const frameMask = 0x000f_ffff_ffff_f000n;
/** Low address bit of each level's index, from the root of five levels down. */
const levelShifts = [48, 39, 30, 21, 12] as const;
/** The root is always called PGD. */
const levelNames = ['PGD', 'P4D', 'PUD', 'PMD', 'PTE'] as const;

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
    return walkFrom(info, physical, Number((root - startKernelMap + physBase) & ~encryption));
  },

  processTranslator: walkFrom,

  image: {
    range(info) {
      const size = info.number('KERNEL_IMAGE_SIZE') ?? largestImage;
      return { start: startKernelMap, end: startKernelMap + (size > largestImage ? largestImage : size) };
    },

    // Only page-table isolation takes what was freed out of the mapping as well (arch/x86/mm/init.c,
    // free_kernel_image_pages), so the symbols of the linker script tell.
    freed(symbols, memory, pageSize) {
      const ranges = freedParts
        .map(([first, last]) => pagesBetween(symbols, first, last, pageSize))
        .filter((range) => range !== undefined);
      const afterBrk = unusedBrk(symbols, memory, pageSize);
      return afterBrk === undefined ? ranges : [...ranges, afterBrk];
    },
  },
};

function walkFrom(info: Vmcoreinfo, physical: PhysicalMemory, root: number): PageTableWalk {
  const encryption = info.number('sme_mask') ?? 0n;
  const fiveLevels = (info.number('pgtable_l5_enabled') ?? 0n) !== 0n;
  return new PageTableWalk(physical, root, frameMask & ~encryption, fiveLevels ? 0 : 1);
}

/** KERNEL_IMAGE_SIZE with KASLR; 512 MiB without. */
const largestImage = 1n << 30n;

/**
 * What mark_rodata_ro(), free_initmem(), alternative_instructions() and mem_encrypt_free_decrypted_mem() give back, by its
 * first and last symbol.
 */
const freedParts = [
  ['_etext', '__start_rodata'],
  ['__end_rodata', '_sdata'],
  ['__init_begin', '__init_end'],
  ['__smp_locks', '__smp_locks_end'],
  ['__start_bss_decrypted_unused', '__end_bss_decrypted'],
] as const;

/** From the end of what brk handed out early: only the large page that it ends in keeps the rest mapped. */
function unusedBrk(
  symbols: KernelSymbols,
  memory: VirtualMemory,
  pageSize: number,
): VirtualRange | undefined {
  const variable = symbols.address('_brk_end');
  const bytes = variable === undefined ? undefined : memory.read(variable, 8);
  if (bytes === undefined || isMissing(bytes)) return undefined;
  const size = BigInt(pageSize);
  const start = ((u64At(bytes, 0) + size - 1n) / size) * size;
  const end = startKernelMap + largestImage;
  return start > startKernelMap && start < end ? { start, end } : undefined;
}

/** Bits of a present entry that say that it maps memory itself: of a page always one, of larger pages PS, of others none. */
const leafBits = (shift: number): number => (shift === pageShift ? present : shift <= 30 ? largePage : 0);

/**
 * Intel SDM vol. 3A, 4.5: four- and five-level paging. Entries are read by physical address, as two 32-bit words: walks
 * over many of them are numbers only.
 */
class PageTableWalk implements AddressTranslator {
  readonly #physical: PhysicalMemory;
  readonly #root: number;
  /** Bits of an entry that are the frame's address, as its two words. */
  readonly #frameLow: number;
  readonly #frameHigh: number;
  /** Index into levelShifts of the root: 0 with five levels, 1 with four. */
  readonly #firstLevel: number;
  /** Table pages seen before: walks of neighbouring addresses share all but the last. A few hundred at most are used. */
  readonly #tables = new Map<number, Uint32Array | Missing>();

  constructor(physical: PhysicalMemory, root: number, frame: bigint, firstLevel: number) {
    this.#physical = physical;
    this.#root = root;
    this.#frameLow = Number(frame & 0xffff_ffffn);
    this.#frameHigh = Number(frame >> 32n);
    this.#firstLevel = firstLevel;
  }

  translate(vaddr: bigint): MappedRun | Missing {
    let table = this.#root;
    // Below the root of five levels a number holds all that counts, and is divided faster than a bigint is shifted.
    const low48 = Number(BigInt.asUintN(48, vaddr));
    for (let level = this.#firstLevel; level < levelShifts.length; level++) {
      const shift = levelShifts[level]!;
      const index = level === 0 ? Number((vaddr >> 48n) & 0x1ffn) : Math.floor(low48 / 2 ** shift) & 0x1ff;
      const words = this.#table(table);
      if (!(words instanceof Uint32Array)) return words;
      const low = words[index * 2]!;
      if ((low & present) === 0) return missing('unmapped', vaddr);
      const frame = this.#frame(words, index);
      if ((low & leafBits(shift)) !== 0) {
        // Within a large page the low frame bits belong to the offset (and bit 12 is PAT there).
        const size = 2 ** shift;
        const inside = low48 % size;
        return { vaddr, paddr: frame - (frame % size) + inside, length: size - inside };
      }
      table = frame;
    }
    return missing('unmapped', vaddr);
  }

  walkSteps(vaddr: bigint): WalkStep[] {
    const steps: WalkStep[] = [];
    let table = this.#root;
    for (let level = this.#firstLevel; level < levelShifts.length; level++) {
      const name = level === this.#firstLevel ? levelNames[0] : levelNames[level]!;
      const index = Number((vaddr >> BigInt(levelShifts[level]!)) & 0x1ffn);
      const words = this.#table(table);
      const address = table + index * 8;
      if (!(words instanceof Uint32Array)) {
        steps.push({ name, address, entry: undefined });
        break;
      }
      const low = words[index * 2]!;
      steps.push({ name, address, entry: (BigInt(words[index * 2 + 1]!) << 32n) | BigInt(low) });
      if ((low & present) === 0 || (low & leafBits(levelShifts[level]!)) !== 0) break;
      table = this.#frame(words, index);
    }
    return steps;
  }

  mappedRuns(start: bigint, end: bigint): MappedRun[] {
    if (end <= start) return [];
    const found: { at: number; paddr: number; length: number }[] = [];
    // Addresses count from `start`: exact as numbers, since whatever is inexact is far beyond the end.
    const length = Number(end - start);
    let last: { at: number; paddr: number; length: number } | undefined;
    const walk = (table: number, level: number, base: number): void => {
      const words = this.#table(table);
      if (!(words instanceof Uint32Array)) return;
      const shift = levelShifts[level]!;
      const size = 2 ** shift;
      const leaf = leafBits(shift);
      const first = Math.max(0, Math.floor(-base / size));
      const end = Math.min(entriesOfTable, Math.ceil((length - base) / size));
      for (let index = first; index < end; index++) {
        const low = words[index * 2]!;
        if ((low & present) === 0) continue;
        const from = base + index * size;
        const frame = (words[index * 2 + 1]! & this.#frameHigh) * 2 ** 32 + ((low & this.#frameLow) >>> 0);
        if ((low & leaf) === 0) {
          walk(frame, level + 1, from);
          continue;
        }
        const at = Math.max(from, 0);
        const paddr = frame - (frame % size) + (at - from);
        const bytes = Math.min(from + size, length) - at;
        if (last !== undefined && last.at + last.length === at && last.paddr + last.length === paddr) {
          last.length += bytes;
        } else {
          last = { at, paddr, length: bytes };
          found.push(last);
        }
      }
    };
    // The upper half of what the root maps is the upper end of the address space.
    const reach = BigInt(levelShifts[this.#firstLevel]!) + 9n;
    const half = start >> (reach - 1n) === 0n ? 0n : (1n << 64n) - (1n << reach);
    walk(this.#root, this.#firstLevel, Number(half - start));
    return found.map((run) => ({ vaddr: start + BigInt(run.at), paddr: run.paddr, length: run.length }));
  }

  tablePages(limit: number): number[] {
    const seen = new Set([this.#root]);
    let tables = [this.#root];
    // The tables of the last level are named by those above them and need not be read.
    for (let level = this.#firstLevel; level < levelShifts.length - 1; level++) {
      const leaf = leafBits(levelShifts[level]!);
      const below: number[] = [];
      for (const table of tables) {
        const words = this.#table(table);
        if (!(words instanceof Uint32Array)) continue;
        const first = level === this.#firstLevel ? entriesOfTable / 2 : 0;
        for (let index = first; index < entriesOfTable && seen.size < limit; index++) {
          const low = words[index * 2]!;
          if ((low & present) === 0 || (low & leaf) !== 0) continue;
          const frame = this.#frame(words, index);
          if (seen.has(frame)) continue;
          seen.add(frame);
          below.push(frame);
        }
      }
      tables = below;
    }
    return [...seen];
  }

  forget(): void {
    this.#tables.clear();
  }

  #frame(words: Uint32Array, index: number): number {
    const low = (words[index * 2]! & this.#frameLow) >>> 0;
    return (words[index * 2 + 1]! & this.#frameHigh) * 2 ** 32 + low;
  }

  #table(paddr: number): Uint32Array | Missing {
    let words = this.#tables.get(paddr);
    if (words === undefined) {
      const table = new Uint32Array(entriesOfTable * 2);
      words = this.#physical.readInto(paddr, new Uint8Array(table.buffer)) ?? table;
      if (this.#tables.size >= maxCachedTables) this.#tables.clear();
      this.#tables.set(paddr, words);
    }
    return words;
  }
}

/** 4 KiB each, so at most 1 MiB; sequential walks touch four or five tables at a time. */
const maxCachedTables = 256;
