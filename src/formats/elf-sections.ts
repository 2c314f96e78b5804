import { KdumpError } from '../lib/errors.ts';
import { layout, readStruct } from '../lib/layout.ts';
import type { ReadAt } from './elf.ts';

/**
 * Sections of an ELF64 little-endian file: a vmlinux with its symbols and debug information.
 * Source of the format: System V ABI, elf(5); compressed sections: gABI, "Section Compression".
 */
const headerLayout = layout('Elf64_Ehdr', 64, {
  type: [16, 'u16'],
  machine: [18, 'u16'],
  shoff: [40, 'u64'],
  shentsize: [58, 'u16'],
  shnum: [60, 'u16'],
  shstrndx: [62, 'u16'],
});

const sectionLayout = layout('Elf64_Shdr', 64, {
  name: [0, 'u32'],
  type: [4, 'u32'],
  flags: [8, 'u64'],
  addr: [16, 'a64'],
  offset: [24, 'u64'],
  size: [32, 'u64'],
  link: [40, 'u32'],
  entsize: [56, 'u64'],
});

const compressionLayout = layout('Elf64_Chdr', 24, { type: [0, 'u32'], size: [8, 'u64'] });

export const SHT_SYMTAB = 2;
export const SHT_NOTE = 7;
const SHT_NOBITS = 8;
const SHF_COMPRESSED = 0x800;
/** e_shstrndx when the real index is in sh_link of section header 0. */
const SHN_XINDEX = 0xffff;
/** A kernel has 80; one that is built with -ffunction-sections, some ten thousand. */
const maxSections = 2 ** 20;
const compressionNames: Readonly<Record<number, Compression>> = { 1: 'zlib', 2: 'zstd' };
/** No stream of these formats is smaller than a thousandth of what it holds, give or take: what claims more is damaged. */
const maxRatio = 2 ** 15;

export type Compression = 'zlib' | 'zstd';
/** Plain content of a compressed section; `size` is what must come out, bytes. */
export type Decompress = (format: Compression, bytes: Uint8Array, size: number) => Uint8Array;

export type ElfSection = {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** Virtual address at which it was linked; 0 when it is not loaded. */
  readonly address: bigint;
  /** Place in the file; bytes. A section without content (bss, and all of them in a stripped-out debug file) has none. */
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly entrySize: number;
  readonly hasContent: boolean;
};

export type ElfSections = {
  /** e_type. */
  readonly type: number;
  /** e_machine. */
  readonly machine: number;
  readonly sections: readonly ElfSection[];
};

/** The content of a section, read piece by piece. */
export type SectionBytes = { readonly size: number; readonly read: ReadAt };

/**
 * Reads the section headers of an ELF64 file.
 * @param fileSize bytes, to check every size against before anything is allocated
 * @param name of the file, for errors
 * @throws KdumpError `not-elf`, `unsupported-elf`, `truncated`
 */
export function readElfSections(read: ReadAt, fileSize: number, name: string): ElfSections {
  const head = read(0, headerLayout.size);
  if (head.length < 4 || head[0] !== 0x7f || head[1] !== 0x45 || head[2] !== 0x4c || head[3] !== 0x46)
    throw new KdumpError('not-elf', `${name}: not an ELF file`);
  const header = readStruct(headerLayout, head, 0, `${name} offset 0`);
  if (head[4] !== 2 || head[5] !== 1) {
    throw new KdumpError(
      'unsupported-elf',
      `${name}: only 64-bit little-endian ELF is read (EI_CLASS ${head[4]}, EI_DATA ${head[5]})`,
    );
  }
  if (header.shoff === 0) return { type: header.type, machine: header.machine, sections: [] };
  if (header.shentsize !== sectionLayout.size) {
    throw new KdumpError(
      'unsupported-elf',
      `${name}: e_shentsize is ${header.shentsize}, expected ${sectionLayout.size}`,
    );
  }
  const first = readStruct(
    sectionLayout,
    read(header.shoff, sectionLayout.size),
    0,
    `${name} offset ${header.shoff}`,
  );
  const count = header.shnum === 0 ? first.size : header.shnum;
  if (count > maxSections || header.shoff + count * sectionLayout.size > fileSize) {
    throw new KdumpError(
      'truncated',
      `${name}: ${count} section headers at offset ${header.shoff} do not fit in its ${fileSize} bytes`,
    );
  }
  const table = read(header.shoff, count * sectionLayout.size);
  const raw = Array.from({ length: count }, (_, i) => {
    const at = i * sectionLayout.size;
    return readStruct(sectionLayout, table, at, `${name} offset ${header.shoff + at}`);
  });
  for (const [i, section] of raw.entries()) {
    if (section.type !== SHT_NOBITS && section.type !== 0 && section.offset + section.size > fileSize) {
      throw new KdumpError(
        'truncated',
        `${name}: section ${i} covers file offsets ${section.offset} to ${section.offset + section.size}, but the file ends at ${fileSize}`,
      );
    }
  }
  const namesIndex = header.shstrndx === SHN_XINDEX ? first.link : header.shstrndx;
  const names = raw[namesIndex];
  const strings = Buffer.from(
    names === undefined || names.type === SHT_NOBITS || names.type === 0
      ? new Uint8Array(0)
      : read(names.offset, names.size),
  );
  const sections = raw.map((section) => ({
    name: stringAt(strings, section.name),
    type: section.type,
    flags: section.flags,
    address: section.addr,
    offset: section.offset,
    size: section.size,
    link: section.link,
    entrySize: section.entsize,
    hasContent: section.type !== SHT_NOBITS && section.type !== 0,
  }));
  return { type: header.type, machine: header.machine, sections };
}

/** NUL-terminated text at an offset of a string table; empty when it lies outside. */
export function stringAt(strings: Buffer, offset: number): string {
  if (offset >= strings.length) return '';
  const end = strings.indexOf(0, offset);
  return strings.toString('latin1', offset, end < 0 ? strings.length : end);
}

/**
 * The content of a section, plain. A compressed one is unpacked as a whole, when it is asked for the first time.
 * @param fileName for errors
 * @throws KdumpError `compressed-section` when it is compressed in a way that `decompress` is not there for
 */
export function sectionBytes(
  read: ReadAt,
  section: ElfSection,
  fileName: string,
  decompress: Decompress | undefined,
): SectionBytes {
  if (!section.hasContent) return { size: 0, read: () => new Uint8Array(0) };
  if ((section.flags & SHF_COMPRESSED) === 0) {
    return {
      size: section.size,
      read: (offset, length) =>
        read(section.offset + offset, Math.max(0, Math.min(length, section.size - offset))),
    };
  }
  const where = `${fileName}: section ${section.name}`;
  const chdr = readStruct(
    compressionLayout,
    read(section.offset, Math.min(section.size, compressionLayout.size)),
    0,
    `${fileName} offset ${section.offset}`,
  );
  const format = compressionNames[chdr.type];
  if (format === undefined || decompress === undefined) {
    throw new KdumpError(
      'compressed-section',
      `${where} is compressed (${format ?? `ch_type ${chdr.type}`}), which cannot be read here`,
      { fix: 'Unpack it with: objcopy --decompress-debug-sections VMLINUX PLAIN' },
    );
  }
  if (chdr.size > section.size * maxRatio) {
    throw new KdumpError(
      'compressed-section',
      `${where} claims to hold ${chdr.size} bytes in ${section.size} compressed ones`,
    );
  }
  let plain: Uint8Array | undefined;
  const content = (): Uint8Array => {
    if (plain === undefined) {
      const packed = read(
        section.offset + compressionLayout.size,
        Math.max(0, section.size - compressionLayout.size),
      );
      plain = decompress(format, packed, chdr.size);
      if (plain.length !== chdr.size) {
        throw new KdumpError(
          'compressed-section',
          `${where}: ${plain.length} bytes came out of it, ${chdr.size} should`,
        );
      }
    }
    return plain;
  };
  return { size: chdr.size, read: (offset, length) => content().subarray(offset, offset + length) };
}
