import { KdumpError } from '../lib/errors.ts';
import { layout, readStruct, type Struct } from '../lib/layout.ts';

/**
 * ELF64 little-endian core files as /proc/vmcore, QEMU and makedumpfile -E write them.
 * Source of the format: System V ABI, elf(5); PN_XNUM as in the kernel's fs/proc/vmcore.c and include/uapi/linux/elf.h.
 */
export const elfHeaderLayout = layout('Elf64_Ehdr', 64, {
  type: [16, 'u16'],
  machine: [18, 'u16'],
  version: [20, 'u32'],
  entry: [24, 'a64'],
  phoff: [32, 'u64'],
  shoff: [40, 'u64'],
  flags: [48, 'u32'],
  ehsize: [52, 'u16'],
  phentsize: [54, 'u16'],
  phnum: [56, 'u16'],
  shentsize: [58, 'u16'],
  shnum: [60, 'u16'],
  shstrndx: [62, 'u16'],
});

export const programHeaderLayout = layout('Elf64_Phdr', 56, {
  type: [0, 'u32'],
  flags: [4, 'u32'],
  offset: [8, 'u64'],
  vaddr: [16, 'a64'],
  paddr: [24, 'a64'],
  filesz: [32, 'u64'],
  memsz: [40, 'u64'],
  align: [48, 'a64'],
});

/** The same as it may stand in a file. */
const anyProgramHeaderLayout = layout('Elf64_Phdr', programHeaderLayout.size, {
  ...programHeaderLayout.fields,
  offset: [8, 'a64'],
  filesz: [32, 'a64'],
  memsz: [40, 'a64'],
});

export const sectionHeaderLayout = layout('Elf64_Shdr', 64, { size: [32, 'a64'], info: [44, 'u32'] });
export const noteHeaderLayout = layout('Elf64_Nhdr', 12, {
  namesz: [0, 'u32'],
  descsz: [4, 'u32'],
  type: [8, 'u32'],
});

/**
 * Sizes are below 2^53. An offset may be larger, since /proc/kcore makes them of virtual addresses (5-level paging),
 * but then it is a multiple of 8 and exact.
 */
export type ProgramHeader = Struct<(typeof programHeaderLayout)['fields']>;

export const ET_CORE = 4;
export const PT_LOAD = 1;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
/** e_phnum when the real count is in sh_info of section header 0. */
export const PN_XNUM = 0xffff;
/**
 * p_paddr of a segment that is not physical memory (kcore's vmalloc area). Its offset and sizes are only about right
 * where they are beyond 2^53, as with 5-level paging: nobody reads it.
 */
export const noPhysicalAddress = 0xffff_ffff_ffff_ffffn;

/** With 5-level paging addresses have 56 bits that count, and /proc/kcore has a segment at each of them. */
const furthestOffset = 2 ** 56;

export const NT_PRSTATUS = 1;

export type ElfFile = {
  readonly type: number;
  readonly machine: number;
  readonly programHeaders: readonly ProgramHeader[];
  /** The ELF header as it stands, 64 bytes. */
  readonly header: Uint8Array;
};

/** Reads exactly `length` bytes at `offset` of the file, or as many as there are. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

/** Whether a file that begins with these bytes is an ELF file of any kind. */
export function isElf(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46
  );
}

/**
 * Reads the headers of an ELF64 core.
 * @param name of the file, for errors
 * @throws KdumpError `not-elf`, `unsupported-elf`, `truncated`, `out-of-range`
 */
export function readElfCore(read: ReadAt, name: string): ElfFile {
  const file = readElf(read, name);
  if (file.type !== ET_CORE) {
    throw new KdumpError('unsupported-elf', `${name}: e_type is ${file.type}, a core has ${ET_CORE}`);
  }
  return file;
}

/** The same for an ELF64 file of any type. */
export function readElf(read: ReadAt, name: string): ElfFile {
  const head = read(0, elfHeaderLayout.size);
  if (!isElf(head)) {
    const found = [...head.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    throw new KdumpError(
      'not-elf',
      `${name}: not an ELF file: found ${found || 'nothing'}, expected 7f 45 4c 46 at offset 0`,
    );
  }
  const header = readStruct(elfHeaderLayout, head, 0, `${name} offset 0`);
  if (head[4] !== 2 || head[5] !== 1) {
    throw new KdumpError(
      'unsupported-elf',
      `${name}: only 64-bit little-endian ELF is read (EI_CLASS ${head[4]}, EI_DATA ${head[5]})`,
    );
  }
  if (header.phentsize !== programHeaderLayout.size) {
    throw new KdumpError(
      'unsupported-elf',
      `${name}: e_phentsize is ${header.phentsize}, expected ${programHeaderLayout.size}`,
    );
  }
  const count = header.phnum === PN_XNUM ? extendedCount(read, header.shoff, name) : header.phnum;
  const table = read(header.phoff, count * programHeaderLayout.size);
  const programHeaders = Array.from({ length: count }, (_, i) => {
    const at = i * programHeaderLayout.size;
    return readProgramHeader(table, at, `${name} offset ${header.phoff + at}`);
  });
  return {
    type: header.type,
    machine: header.machine,
    programHeaders,
    header: Uint8Array.from(head.subarray(0, elfHeaderLayout.size)),
  };
}

function readProgramHeader(table: Uint8Array, at: number, where: string): ProgramHeader {
  const raw = readStruct(anyProgramHeaderLayout, table, at, where);
  const counts = raw.type !== PT_LOAD || raw.paddr !== noPhysicalAddress;
  const number = (field: 'offset' | 'filesz' | 'memsz', most: number): number => {
    const value = Number(raw[field]);
    if (counts && (value > most || BigInt(value) !== raw[field])) {
      throw new KdumpError(
        'out-of-range',
        `${where}: Elf64_Phdr.${field} = 0x${raw[field].toString(16)} is more than can be read`,
      );
    }
    return value;
  };
  return {
    ...raw,
    offset: number('offset', furthestOffset),
    filesz: number('filesz', Number.MAX_SAFE_INTEGER),
    memsz: number('memsz', Number.MAX_SAFE_INTEGER),
  };
}

function extendedCount(read: ReadAt, shoff: number, name: string): number {
  const section = read(shoff, sectionHeaderLayout.size);
  return readStruct(sectionHeaderLayout, section, 0, `${name} offset ${shoff}`).info;
}

export type ElfNote = {
  readonly name: string;
  readonly type: number;
  /** Offset of the description within the notes, bytes. */
  readonly offset: number;
  readonly description: Uint8Array;
};

/** Walks a PT_NOTE's bytes; stops quietly at the first note that does not fit (the kernel zero-fills the tail). */
export function readNotes(bytes: Uint8Array): ElfNote[] {
  const notes: ElfNote[] = [];
  let at = 0;
  while (at + noteHeaderLayout.size <= bytes.length) {
    const { namesz, descsz, type } = readStruct(noteHeaderLayout, bytes, at);
    const nameAt = at + noteHeaderLayout.size;
    const offset = nameAt + align4(namesz);
    const next = offset + align4(descsz);
    if ((namesz === 0 && descsz === 0) || offset + descsz > bytes.length) break;
    const name = Buffer.from(bytes.subarray(nameAt, nameAt + namesz))
      .toString('latin1')
      .replace(/\0.*$/s, '');
    notes.push({ name, type, offset, description: bytes.subarray(offset, offset + descsz) });
    at = next;
  }
  return notes;
}

const align4 = (n: number): number => Math.ceil(n / 4) * 4;
