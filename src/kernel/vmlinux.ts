import { Dwarf } from '../formats/dwarf.ts';
import type { ReadAt } from '../formats/elf.ts';
import { readNotes } from '../formats/elf.ts';
import {
  type Decompress,
  type ElfSection,
  readElfSections,
  SHT_NOTE,
  SHT_SYMTAB,
  sectionBytes,
} from '../formats/elf-sections.ts';
import { ElfSymbols } from '../formats/elf-symbols.ts';
import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { KdumpError } from '../lib/errors.ts';
import { typesOfBtf } from './btf-types.ts';
import { DwarfTypes } from './dwarf-types.ts';
import { SourceLines } from './source-lines.ts';
import type { KernelSymbols, KernelTypes } from './types.ts';
import { decodeUtsname, utsnameBytes } from './utsname.ts';

/** Its debug information is full of references that only a linker fills in. */
const ET_REL = 1;
const NT_GNU_BUILD_ID = 3;
/** Notes of a kernel are a few hundred bytes; BTF, a few megabytes. */
const maxNotes = 2 ** 20;
const maxBtf = 2 ** 28;
/** The upper half of the address space: what KASLR moves. Offsets of per-CPU variables are small numbers. */
const kernelHalf = 0x8000_0000_0000_0000n;

/** The file that a kernel was made from, with its symbols and, when it was not stripped, its types. */
export class Vmlinux {
  readonly path: string;
  /** As hexadecimal text; undefined when it was linked without. */
  readonly buildId: string | undefined;
  /** Addresses as linked, without KASLR. */
  readonly symbols: KernelSymbols;
  /** BTF where it knows an answer, which takes milliseconds, DWARF where it does not. */
  readonly types: KernelTypes;
  /** The debug information alone; undefined in a stripped file. */
  readonly debugTypes: DwarfTypes | undefined;
  readonly #read: ReadAt;
  readonly #sections: readonly ElfSection[];
  readonly #lines: SourceLines;

  /** Use `openVmlinux`. */
  constructor(
    path: string,
    read: ReadAt,
    sections: readonly ElfSection[],
    symbols: KernelSymbols,
    btf: KernelTypes | undefined,
    debugTypes: DwarfTypes | undefined,
    lines: SourceLines,
  ) {
    this.path = path;
    this.#read = read;
    this.#sections = sections;
    this.symbols = symbols;
    this.debugTypes = debugTypes;
    this.#lines = lines;
    this.types = layered(btf, debugTypes);
    this.buildId = buildIdOf(read, sections);
  }

  /**
   * Content of static data as linked.
   * @param address as linked
   * @returns undefined where the file holds nothing, as for bss and in files that only have debug information
   */
  content(address: bigint, length: number): Uint8Array | undefined {
    const end = address + BigInt(length);
    const section = this.#sections.find(
      (each) =>
        each.hasContent &&
        each.address !== 0n &&
        address >= each.address &&
        end <= each.address + BigInt(each.size),
    );
    if (section === undefined) return undefined;
    return this.#read(section.offset + Number(address - section.address), length);
  }

  /**
   * Source file and line of an instruction: 'kernel/panic.c: 341'.
   * @param address as linked
   * @returns undefined where there is no debug information
   */
  sourceLine(address: bigint): string | undefined {
    return this.#lines.at(address);
  }

  /** As `uname -r` of the kernel; undefined when the file does not hold its data. */
  get release(): string | undefined {
    const symbol = this.symbols.address('init_uts_ns');
    if (symbol === undefined) return undefined;
    const name = this.types.member('uts_namespace', 'name');
    const bytes = name && this.content(symbol + BigInt(name.offset), utsnameBytes);
    if (bytes === undefined || bytes.length < utsnameBytes) return undefined;
    const { release } = decodeUtsname(bytes);
    return release === '' ? undefined : release;
  }
}

/**
 * Opens a vmlinux. Little is read now: symbols, types and names are looked up in the file when they are asked for.
 * @param size of the file, bytes
 * @param path for errors
 * @param decompress for compressed debug sections; without it they are refused
 * @throws KdumpError `not-elf`, `unsupported-elf`, `truncated`, `no-symbols`, `no-debuginfo`, `compressed-section`
 */
export function openVmlinux(read: ReadAt, size: number, path: string, decompress?: Decompress): Vmlinux {
  const { type, sections } = readElfSections(read, size, path);
  if (type === ET_REL) {
    throw new KdumpError(
      'unsupported-elf',
      `${path}: is an object that was not linked yet, as kernel modules are`,
    );
  }
  const bytesOf = (name: string) => {
    const section = sections.find((each) => each.name === name);
    if (section === undefined) return { size: 0, read: () => new Uint8Array(0) };
    return sectionBytes(read, section, path, decompress);
  };
  const table = sections.find((section) => section.type === SHT_SYMTAB && section.hasContent);
  const strings = table && sections[table.link];
  if (table === undefined || strings === undefined) {
    throw new KdumpError('no-symbols', `${path}: has no symbol table`, {
      fix: 'Give the vmlinux of the debug package of this kernel: the vmlinuz in /boot is stripped.',
    });
  }
  const symbols = new ElfSymbols(
    sectionBytes(read, table, path, decompress),
    sectionBytes(read, strings, path, decompress),
  );

  const btfSection = bytesOf('.BTF');
  const btf =
    btfSection.size > 0 && btfSection.size <= maxBtf
      ? typesOfBtf(btfSection.read(0, btfSection.size), `${path}: section .BTF`)
      : undefined;
  const info = bytesOf('.debug_info');
  const debugTypes =
    info.size === 0
      ? undefined
      : new DwarfTypes(
          new Dwarf(
            {
              info,
              abbrev: bytesOf('.debug_abbrev'),
              str: bytesOf('.debug_str'),
              lineStr: bytesOf('.debug_line_str'),
              strOffsets: bytesOf('.debug_str_offsets'),
              line: bytesOf('.debug_line'),
            },
            path,
          ),
        );
  if (btf === undefined && debugTypes === undefined) {
    throw new KdumpError('no-debuginfo', `${path}: has no debug information (.debug_info) and no .BTF`, {
      fix: 'Install the debug package of this kernel (linux-image-…-dbg, kernel-debuginfo) and give its vmlinux.',
    });
  }
  const lines = new SourceLines({
    line: bytesOf('.debug_line'),
    str: bytesOf('.debug_str'),
    lineStr: bytesOf('.debug_line_str'),
  });
  return new Vmlinux(path, read, sections, symbols, btf, debugTypes, lines);
}

/** Symbols of a kernel that runs `offset` bytes above where it was linked (KERNELOFFSET of VMCOREINFO). */
export function relocatedSymbols(symbols: KernelSymbols, offset: bigint): KernelSymbols {
  return {
    address(name) {
      const address = symbols.address(name);
      return address === undefined ? undefined : relocated(address, offset);
    },
  };
}

/** One address of the same kernel. */
export const relocated = (address: bigint, offset: bigint): bigint =>
  address < kernelHalf ? address : address + offset;

/** KERNELOFFSET: how far KASLR moved the kernel image; 0 when it did not. */
export function kernelOffset(info: Vmcoreinfo): bigint {
  const text = info.get('KERNELOFFSET');
  return text !== undefined && /^[0-9a-f]+$/i.test(text) ? BigInt(`0x${text}`) : 0n;
}

/**
 * Refuses a vmlinux of another kernel than the one that crashed: by build id, which VMCOREINFO has since 5.9, else by
 * the addresses that both know.
 * @param vmcore name of the dump, for the error
 * @throws KdumpError `wrong-vmlinux`
 */
export function checkVmlinux(vmlinux: Vmlinux, info: Vmcoreinfo, vmcore: string): void {
  const wrong = (ours: string, theirs: string): KdumpError =>
    new KdumpError('wrong-vmlinux', `${vmlinux.path} (${ours}) is not the kernel of ${vmcore} (${theirs})`, {
      fix: `Give the vmlinux of ${info.osrelease ?? 'the kernel that crashed'}, from the debug package of the same version.`,
      facts: { vmlinux: ours, vmcore: theirs },
    });
  const buildId = info.get('BUILD-ID');
  if (buildId !== undefined && vmlinux.buildId !== undefined) {
    if (buildId.toLowerCase() === vmlinux.buildId) return;
    throw wrong(`build id ${vmlinux.buildId}`, `build id ${buildId}`);
  }
  const { release } = vmlinux;
  if (release !== undefined && info.osrelease !== undefined && release !== info.osrelease)
    throw wrong(`release ${release}`, `release ${info.osrelease}`);
  const linked = relocatedSymbols(vmlinux.symbols, kernelOffset(info));
  // Not mem_section, of which kernels export the value.
  for (const name of ['_stext', 'init_uts_ns', 'swapper_pg_dir', 'init_top_pgt', 'prb', 'log_buf']) {
    const ours = linked.address(name);
    const theirs = info.symbol(name);
    if (ours === undefined || theirs === undefined || ours === theirs) continue;
    throw wrong(`${name} at 0x${ours.toString(16)}`, `${name} at 0x${theirs.toString(16)}`);
  }
}

function layered(btf: KernelTypes | undefined, dwarf: KernelTypes | undefined): KernelTypes {
  if (btf === undefined || dwarf === undefined) return (btf ?? dwarf)!;
  return {
    find: (name) => btf.find(name) ?? dwarf.find(name),
    member: (struct, path) => btf.member(struct, path) ?? dwarf.member(struct, path),
    enumerator: (name) => btf.enumerator(name) ?? dwarf.enumerator(name),
    // BTF knows per-CPU variables only.
    variable: (symbol) => dwarf.variable(symbol) ?? btf.variable(symbol),
  };
}

function buildIdOf(read: ReadAt, sections: readonly ElfSection[]): string | undefined {
  for (const section of sections) {
    if (section.type !== SHT_NOTE || section.size > maxNotes) continue;
    const note = readNotes(read(section.offset, section.size)).find(
      (each) => each.name === 'GNU' && each.type === NT_GNU_BUILD_ID,
    );
    if (note !== undefined) return Buffer.from(note.description).toString('hex');
  }
  return undefined;
}
