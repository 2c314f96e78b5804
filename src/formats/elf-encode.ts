import { writeStruct } from '../lib/layout.ts';
import {
  ET_CORE,
  elfHeaderLayout,
  noteHeaderLayout,
  PN_XNUM,
  type ProgramHeader,
  programHeaderLayout,
  sectionHeaderLayout,
} from './elf.ts';

/** The writing half of ELF64 little-endian cores; sources of the format as in elf.ts. */

export const elfHeaderSize = elfHeaderLayout.size;
export const programHeaderSize = programHeaderLayout.size;
export const elfFlagsOffset = elfHeaderLayout.fields.flags[0];

/** Bit of e_flags in a core that makedumpfile wrote: it ends early (DUMP_ELF_INCOMPLETE of elf_info.h). */
export const elfIncomplete = 0x1;

/** A bare ELF header of a core for a machine, 64 bytes. */
export function newElfHeader(machine: number): Uint8Array {
  const header = new Uint8Array(elfHeaderSize);
  // ELFCLASS64, ELFDATA2LSB, EV_CURRENT.
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  writeStruct(elfHeaderLayout, header, 0, {
    type: ET_CORE,
    machine,
    version: 1,
    ehsize: elfHeaderSize,
    phentsize: programHeaderSize,
  });
  return header;
}

/** Bytes of headers in a core: the ELF header, the program headers, and the section header of PN_XNUM if need be. */
export function elfHeadersSize(programHeaders: number): number {
  const sections = programHeaders >= PN_XNUM ? sectionHeaderLayout.size : 0;
  return elfHeaderSize + programHeaders * programHeaderSize + sections;
}

/**
 * An ELF header like `template` for another number of program headers, which follow it directly. From PN_XNUM of them
 * on, their number is in sh_info of a section header behind the program headers.
 * @returns the header, and the section header if there is one
 */
export function encodeElfHeader(
  template: Uint8Array,
  programHeaders: number,
  flags: number,
): { header: Uint8Array; section: Uint8Array | undefined } {
  const extended = programHeaders >= PN_XNUM;
  const header = Uint8Array.from(template);
  writeStruct(elfHeaderLayout, header, 0, {
    phoff: elfHeaderSize,
    phnum: extended ? PN_XNUM : programHeaders,
    shoff: extended ? elfHeaderSize + programHeaders * programHeaderSize : 0,
    shnum: extended ? 1 : 0,
    shstrndx: 0,
    flags,
    ...(extended ? { shentsize: sectionHeaderLayout.size } : {}),
  });
  if (!extended) return { header, section: undefined };
  const section = new Uint8Array(sectionHeaderLayout.size);
  // The number of sections is said once more, as the kernel says it in /proc/vmcore.
  writeStruct(sectionHeaderLayout, section, 0, { size: 1n, info: programHeaders });
  return { header, section };
}

/** e_flags of an ELF header. */
export function elfFlagsOf(header: Uint8Array): number {
  return new DataView(header.buffer, header.byteOffset, header.byteLength).getUint32(elfFlagsOffset, true);
}

/** Four bytes of e_flags. */
export function encodeElfFlags(flags: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, flags, true);
  return bytes;
}

/** Writes a program header at `at` of `target`. */
export function encodeProgramHeader(target: Uint8Array, at: number, header: ProgramHeader): void {
  writeStruct(programHeaderLayout, target, at, header);
}

/** A note; name and description are padded to four bytes each. */
export function encodeNote(name: string, type: number, description: Uint8Array): Buffer {
  const align4 = (n: number): number => Math.ceil(n / 4) * 4;
  const nameAt = noteHeaderLayout.size;
  const descriptionAt = nameAt + align4(name.length + 1);
  const bytes = Buffer.alloc(descriptionAt + align4(description.length));
  writeStruct(noteHeaderLayout, bytes, 0, { namesz: name.length + 1, descsz: description.length, type });
  bytes.write(name, nameAt, 'latin1');
  bytes.set(description, descriptionAt);
  return bytes;
}
