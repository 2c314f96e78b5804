import type { SectionBytes } from './elf-sections.ts';

/** Elf64_Sym: st_name u32, st_info u8, st_other u8, st_shndx u16, st_value u64, st_size u64 (elf(5)). */
const entryBytes = 24;
const SHN_UNDEF = 0;
const STB_LOCAL = 0;
const STT_SECTION = 3;
const STT_FILE = 4;

/**
 * The symbol table of an ELF file, searched by name. A kernel's has 120 000 entries: a lookup compares offsets of names
 * rather than names, so no map of all of them is built.
 */
export class ElfSymbols {
  readonly #table: SectionBytes;
  readonly #strings: SectionBytes;
  #loaded: { readonly table: DataView; readonly strings: Buffer } | undefined;
  readonly #found = new Map<string, bigint | undefined>();

  constructor(table: SectionBytes, strings: SectionBytes) {
    this.#table = table;
    this.#strings = strings;
  }

  /** Value of a defined symbol; a global one before a local one, then the first. */
  address(name: string): bigint | undefined {
    if (!this.#found.has(name)) this.#found.set(name, this.#search(name));
    return this.#found.get(name);
  }

  #search(name: string): bigint | undefined {
    const { table, strings } = this.#load();
    const wanted = Buffer.from(`${name}\0`, 'latin1');
    // Linkers let a name share the end of a longer one.
    const offsets = new Set<number>();
    for (let at = strings.indexOf(wanted); at >= 0; at = strings.indexOf(wanted, at + 1)) offsets.add(at);
    if (name === '' || offsets.size === 0) return undefined;
    let local: bigint | undefined;
    for (let at = 0; at + entryBytes <= table.byteLength; at += entryBytes) {
      if (!offsets.has(table.getUint32(at, true))) continue;
      const info = table.getUint8(at + 4);
      const type = info & 0xf;
      if (type === STT_SECTION || type === STT_FILE || table.getUint16(at + 6, true) === SHN_UNDEF) continue;
      const value = table.getBigUint64(at + 8, true);
      if (info >> 4 !== STB_LOCAL) return value;
      local ??= value;
    }
    return local;
  }

  #load(): { readonly table: DataView; readonly strings: Buffer } {
    if (this.#loaded === undefined) {
      const table = this.#table.read(0, this.#table.size);
      const strings = this.#strings.read(0, this.#strings.size);
      this.#loaded = {
        table: new DataView(table.buffer, table.byteOffset, table.byteLength),
        strings: Buffer.from(strings.buffer, strings.byteOffset, strings.byteLength),
      };
    }
    return this.#loaded;
  }
}
