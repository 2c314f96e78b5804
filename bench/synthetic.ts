// Vmcores of machines too large for the lab: sparse ELF files with real page tables, memory sections, page
// descriptors and VMCOREINFO, in which most pages are holes of the file.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { noisePage, note, PG, startKernelMap, textPage, type612 } from '../test/helpers/vmcore.ts';
import { type Census, descriptorBytes, MemoryMap, sectionPages, vmemmap } from './memory-map.ts';

const GiB = 2 ** 30;
const pageSize = 4096;
const sectionBits = 27;
const physmemBits = 46;
const release = '6.12.0-bench';
const directMap = 0xffff_8880_0000_0000n;

/** The kernel's own structures, physical. */
const kernelStart = 16 * 2 ** 20;
const kernelEnd = 32 * 2 ** 20;
const memmapStart = GiB;

/** As a PC has it: nothing below 1 MiB that counts, devices below 4 GiB. */
function ramOf(bytes: number): Ram[] {
  return [
    { start: 2 ** 20, end: 3 * GiB },
    { start: 4 * GiB, end: bytes },
  ];
}
type Ram = { start: number; end: number };

/**
 * 64 GiB of address space of a busy server: every descriptor is there, 1 GiB of them, and is part of what is dumped.
 * @returns the pages by kind
 */
export function writeSparseVmcore(path: string): Census {
  const bytes = 64 * GiB;
  const map = new MemoryMap({ free: 190, huge: 200, cache: 290, mixed: 300, kernel: 44 }, true, 0x9e3779b9);
  const memmapEnd = memmapStart + (bytes / pageSize) * descriptorBytes;
  const isReserved = (pfn: number): boolean => {
    const at = pfn * pageSize;
    return at < kernelEnd || (at >= memmapStart && at < memmapEnd);
  };
  writeVmcore(path, bytes, (file) => {
    for (let section = 0; section * sectionPages * pageSize < bytes; section++) {
      const described = map.describe(section * sectionPages, isReserved);
      file.write(new Uint8Array(described.buffer), memmapStart + section * described.byteLength);
    }
    // Pages with data in all kinds of memory; the others are zero.
    for (let pfn = (8 * GiB) / pageSize; pfn < bytes / pageSize; pfn += 1861)
      file.write(pfn % 3 === 0 ? noisePage(pfn) : textPage(pfn), pfn * pageSize);
    return (section) => memmapStart + section * sectionPages * descriptorBytes;
  });
  return map.census;
}

/** Different sections of the machine of 1 TiB, more than a processor's cache holds; the others repeat them. */
const distinct = 32;

/**
 * 1 TiB, for the filter alone. 16 GiB of descriptors are mapped, but there are only 32 different pieces of 2 MiB: what
 * a section's descriptors say holds for every 32nd section. So no page is larger than 4 KiB here, as a tail could point
 * to one head only; and one pageblock in 2048 is the kernel's, so that copying what remains takes little time.
 */
export function writeFilterVmcore(path: string): Census {
  const bytes = 1024 * GiB;
  const map = new MemoryMap({ free: 250, huge: 300, cache: 250, mixed: 224 }, false, 0x51ed270b);
  writeVmcore(path, bytes, (file) => {
    for (let section = 0; section < distinct; section++) {
      const described = map.describe(section * sectionPages, (pfn) => pfn === 0);
      file.write(new Uint8Array(described.buffer), memmapStart + section * described.byteLength);
    }
    return (section) => memmapStart + (section % distinct) * sectionPages * descriptorBytes;
  });
  return map.census;
}

/** A vmcore that is being written, addressed as physical memory. */
type PhysicalFile = { write(bytes: Uint8Array, paddr: number): void };

/** @param fill writes descriptors and contents. @returns where the descriptors of a section lie, physical. */
function writeVmcore(
  path: string,
  bytes: number,
  fill: (file: PhysicalFile) => (section: number) => number,
): void {
  const ram = ramOf(bytes);
  const { offsets, write: writeHeaders } = layOut(ram);
  const fd = openSync(path, 'w');
  try {
    ftruncateSync(fd, offsets.at(-1)! + ram.at(-1)!.end - ram.at(-1)!.start);
    const file: PhysicalFile = {
      write(piece, paddr) {
        const index = ram.findIndex(({ start, end }) => paddr >= start && paddr + piece.length <= end);
        // What lies in the hole below 4 GiB exists nowhere.
        if (index < 0) return;
        writeSync(fd, piece, 0, piece.length, offsets[index]! + paddr - ram[index]!.start);
      },
    };
    const memmapOf = fill(file);
    const { vmcoreinfo, memory } = kernelStructures(bytes, ram, memmapOf);
    file.write(memory, kernelStart);
    writeSync(fd, writeHeaders(vmcoreinfo), 0, undefined, 0);
  } finally {
    closeSync(fd);
  }
}

/** Page tables, memory sections and utsname, and the VMCOREINFO that leads to them. */
function kernelStructures(
  bytes: number,
  ram: readonly Ram[],
  memmapOf: (section: number) => number,
): { vmcoreinfo: string; memory: Buffer } {
  const memory = Buffer.alloc(kernelEnd - kernelStart);
  let used = 0;
  /** @returns offset in `memory` of some zeroed pages. */
  const take = (size: number): number => {
    const at = used;
    used += Math.ceil(size / pageSize) * pageSize;
    if (used > memory.length)
      throw new Error(`the kernel's structures need more than ${memory.length} bytes`);
    return at;
  };
  const physical = (at: number): bigint => BigInt(kernelStart + at);
  // phys_base is 0.
  const virtual = (at: number): bigint => physical(at) + startKernelMap;
  const root = take(pageSize);

  /** Maps a page, or with shift 21 a large page of 2 MiB. */
  const map = (vaddr: bigint, paddr: bigint, leafShift: 12 | 21): void => {
    let table = root;
    for (const shift of [39, 30, 21, 12]) {
      const entry = table + Number((vaddr >> BigInt(shift)) & 0x1ffn) * 8;
      if (shift === leafShift) {
        memory.writeBigUInt64LE(
          paddr | (shift === 12 ? 0x8000_0000_0000_0163n : 0x8000_0000_0000_01e3n),
          entry,
        );
        return;
      }
      if (memory.readBigUInt64LE(entry) === 0n)
        memory.writeBigUInt64LE(physical(take(pageSize)) | 0x67n, entry);
      table = Number(memory.readBigUInt64LE(entry) & 0x000f_ffff_ffff_f000n) - kernelStart;
    }
  };

  // SPARSEMEM_EXTREME: an array of roots, each a page of sections.
  const sectionSize = 16;
  const sectionsPerRoot = pageSize / sectionSize;
  const roots = 2 ** (physmemBits - sectionBits) / sectionsPerRoot;
  const sections = bytes / 2 ** sectionBits;
  const rootTable = take(roots * 8);
  for (let section = 0; section < sections; section += sectionsPerRoot)
    memory.writeBigUInt64LE(virtual(take(pageSize)), rootTable + (section / sectionsPerRoot) * 8);
  const sectionTable = rootTable + roots * 8;
  for (let section = 0; section < sections; section++) {
    const start = section * 2 ** sectionBits;
    if (!ram.some((part) => start < part.end && start + 2 ** sectionBits > part.start)) continue;
    // Present, with a memory map, online, from early boot.
    memory.writeBigUInt64LE(vmemmap | 0xfn, sectionTable + section * sectionSize);
    const descriptors = BigInt(section * sectionPages * descriptorBytes);
    map(vmemmap + descriptors, BigInt(memmapOf(section)), 21);
  }
  const uts = take(pageSize);
  for (const [i, text] of ['Linux', 'bench', release, '#1 SMP', 'x86_64', '(none)'].entries())
    memory.write(text, uts + i * 65, 'latin1');
  for (let at = 0; at < memory.length; at += pageSize) map(virtual(at), physical(at), 12);

  const hex = (value: bigint): string => value.toString(16);
  const vmcoreinfo = [
    `OSRELEASE=${release}`,
    `PAGESIZE=${pageSize}`,
    `SYMBOL(init_uts_ns)=${hex(virtual(uts))}`,
    'OFFSET(uts_namespace.name)=0',
    `SYMBOL(swapper_pg_dir)=${hex(virtual(root))}`,
    `SYMBOL(init_top_pgt)=${hex(virtual(root))}`,
    `SYMBOL(mem_section)=${hex(virtual(rootTable))}`,
    `LENGTH(mem_section)=${roots}`,
    `SIZE(mem_section)=${sectionSize}`,
    'OFFSET(mem_section.section_mem_map)=0',
    `NUMBER(SECTION_SIZE_BITS)=${sectionBits}`,
    `NUMBER(MAX_PHYSMEM_BITS)=${physmemBits}`,
    `SIZE(page)=${descriptorBytes}`,
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
    'NUMBER(phys_base)=0',
    'NUMBER(pgtable_l5_enabled)=0',
    'NUMBER(sme_mask)=0',
    'CRASHTIME=1700000000',
  ];
  return { vmcoreinfo: `${vmcoreinfo.join('\n')}\n`, memory };
}

/** Offsets of the segments in the file, and the ELF header, program headers and notes before them. */
function layOut(ram: readonly Ram[]): { offsets: number[]; write(vmcoreinfo: string): Buffer } {
  const headerBytes = 64;
  const programHeaderBytes = 56;
  const notesAt = pageSize;
  const dataAt = 4 * pageSize;
  const offsets: number[] = [];
  let end = dataAt;
  for (const part of ram) {
    offsets.push(end);
    end += part.end - part.start;
  }
  const write = (vmcoreinfo: string): Buffer => {
    const notes = Buffer.concat([
      note('CORE', 1, Buffer.alloc(336, 0x11)),
      note('VMCOREINFO', 0, Buffer.from(vmcoreinfo)),
    ]);
    const bytes = Buffer.alloc(dataAt);
    bytes.write('\x7fELF', 0, 'latin1');
    bytes.set([2, 1, 1], 4);
    bytes.writeUInt16LE(4, 16);
    bytes.writeUInt16LE(62, 18);
    bytes.writeUInt32LE(1, 20);
    bytes.writeBigUInt64LE(BigInt(headerBytes), 32);
    bytes.writeUInt16LE(headerBytes, 52);
    bytes.writeUInt16LE(programHeaderBytes, 54);
    bytes.writeUInt16LE(1 + ram.length, 56);
    const header = (index: number, type: number, offset: number, paddr: number, size: number): void => {
      const at = headerBytes + index * programHeaderBytes;
      bytes.writeUInt32LE(type, at);
      bytes.writeUInt32LE(7, at + 4);
      bytes.writeBigUInt64LE(BigInt(offset), at + 8);
      bytes.writeBigUInt64LE(type === 1 ? directMap + BigInt(paddr) : 0n, at + 16);
      bytes.writeBigUInt64LE(BigInt(paddr), at + 24);
      bytes.writeBigUInt64LE(BigInt(size), at + 32);
      bytes.writeBigUInt64LE(BigInt(size), at + 40);
    };
    header(0, 4, notesAt, 0, notes.length);
    for (const [i, part] of ram.entries()) header(i + 1, 1, offsets[i]!, part.start, part.end - part.start);
    notes.copy(bytes, notesAt);
    return bytes;
  };
  return { offsets, write };
}
