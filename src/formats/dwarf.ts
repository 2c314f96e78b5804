import { KdumpError } from '../lib/errors.ts';
import { type AbbreviationTable, readAbbreviations } from './dwarf/abbreviations.ts';
import { DW_LANG_Mips_Assembler, DW_LANG_Rust, DW_TAG, DW_UT } from './dwarf/constants.ts';
import { Cursor } from './dwarf/cursor.ts';
import { lineFile } from './dwarf/line-files.ts';
import { Die, nameIn, Unit } from './dwarf/unit.ts';

import { type SectionBytes, stringAt } from './elf-sections.ts';

/** The sections of debug information, DWARF 2 to 5; those that a compiler did not write are empty. */
export type DwarfSections = {
  readonly info: SectionBytes;
  readonly abbrev: SectionBytes;
  readonly str: SectionBytes;
  readonly lineStr: SectionBytes;
  readonly strOffsets: SectionBytes;
  readonly line: SectionBytes;
};

/** One debugging information entry. Offsets that identify entries are those in .debug_info. */
export type DwarfEntry = {
  readonly offset: number;
  /** DW_TAG_*. */
  readonly tag: number;
  /** Empty when it has none. */
  readonly name: string;
  /** The entry that DW_AT_type refers to; undefined for void. */
  readonly type: number | undefined;
  /** Bytes; undefined when it does not say. */
  readonly byteSize: number | undefined;
  readonly isDeclaration: boolean;
  /** Elements of an array's dimension; undefined when it is open. */
  readonly length: number | undefined;
  /** Bytes from the start of the structure that a member belongs to. */
  readonly memberOffset: number;
  /** Link-time address of a variable at a fixed place. */
  readonly address: bigint | undefined;
};

/** What a name can stand for. Entries that are only declared are not among the types. */
const space = {
  tag: 0,
  typedef: 1,
  base: 2,
  globalVariable: 3,
  staticVariable: 4,
  openVariable: 5,
  enumerator: 6,
} as const;
const types = [space.tag, space.typedef, space.base] as const;
const spaces = 8;

/** Units whose bytes are kept: the one that is searched and those that lookups come back to. */
const cachedUnits = 8;
/** Links that are followed from one entry to the next before it must be a circle. */
const maxLinks = 64;
/** The longest header of a unit: 64-bit format, version 5, type unit. */
const longestHeader = 40;

/**
 * The debug information of a vmlinux: a few hundred megabytes, of which a lookup reads as much as it takes to find what
 * it looks for. Units are searched one after the other; names on the way are noted, so nothing is searched twice, and
 * nothing is built for entries that nobody asks for. Of several things with one name the first in the file counts.
 */
export class Dwarf {
  readonly #sections: DwarfSections;
  readonly #name: string;
  /** Offset of the first entry by name and kind: text offset * spaces + space, negative for texts of #texts. */
  readonly #index = new Map<number, number>();
  /** Names that are not in .debug_str. */
  readonly #texts = new Map<string, number>();
  /** Enumerations seen, by first constant and line: headers bring the same ones into every unit. */
  readonly #enumerations = new Set<number>();
  /** Start of every unit whose header was read, ascending. */
  readonly #starts: number[] = [];
  /** Behind the last of them. */
  #headersEnd = 0;
  /** How many of them were searched. */
  #searched = 0;
  readonly #units = new Map<number, Unit>();
  #abbreviations: { readonly key: string; readonly table: AbbreviationTable } | undefined;
  #strings: Buffer | undefined;
  #lineStrings: Buffer | undefined;
  readonly #die = new Die();
  readonly #other = new Die();
  readonly #scratch = new Die();

  /** @param name of the file, for errors */
  constructor(sections: DwarfSections, name: string) {
    this.#sections = sections;
    this.#name = name;
  }

  /** A struct, union, enum, typedef or base type that is defined somewhere. */
  type(name: string): number | undefined {
    return this.#lookup(name, types);
  }

  /** The same for struct, union and enum tags alone. */
  tagged(name: string): number | undefined {
    return this.#lookup(name, [space.tag]);
  }

  typedef(name: string): number | undefined {
    return this.#lookup(name, [space.typedef]);
  }

  /**
   * A variable outside functions whose type is known in full: a global one, or a static one when there is no global
   * one, or else one that is only declared as an array of unknown length.
   */
  variable(name: string): DwarfEntry | undefined {
    for (const kind of [space.globalVariable, space.staticVariable, space.openVariable]) {
      const found = this.#lookup(name, [kind]);
      if (found !== undefined) return this.entry(found);
    }
    return undefined;
  }

  /** Value of a constant of any enumeration. */
  enumerator(name: string): bigint | undefined {
    const found = this.#lookup(name, [space.enumerator]);
    if (found === undefined) return undefined;
    return this.#guard(found, () => {
      const unit = this.#unitOf(found);
      unit.read(found, this.#other);
      return this.#other.valueAt < 0 ? undefined : unit.constant(this.#other);
    });
  }

  /** @throws KdumpError `bad-dwarf` when no entry can be there */
  entry(offset: number): DwarfEntry {
    return this.#guard(offset, () => {
      const unit = this.#unitOf(offset);
      const die = new Die();
      if (!unit.read(offset, die)) throw new RangeError(`no entry at ${offset}`);
      if (die.specification >= 0) {
        const first = new Die();
        const owner = this.#unitOf(die.specification);
        owner.read(die.specification, first);
        if (die.type < 0) die.type = first.type;
        return this.#built(die, this.#text(owner, first));
      }
      return this.#built(die, this.#text(unit, die));
    });
  }

  /** The entries within an entry: members, dimensions, constants. */
  children(offset: number): DwarfEntry[] {
    return this.#guard(offset, () => {
      const unit = this.#unitOf(offset);
      const die = new Die();
      const found: DwarfEntry[] = [];
      if (!unit.read(offset, die) || !die.hasChildren) return found;
      for (let at = die.next; unit.read(at, die); at = unit.behind(die, this.#scratch))
        found.push(this.#built(die, this.#text(unit, die)));
      return found;
    });
  }

  /** Source file in which an entry is declared, as the compiler was told; undefined when it does not say. */
  declarationFile(offset: number): string | undefined {
    return this.#guard(offset, () => {
      const unit = this.#unitOf(offset);
      unit.read(unit.root, this.#other);
      const { statements } = this.#other;
      unit.read(offset, this.#other);
      const { line } = this.#sections;
      if (statements < 0 || statements >= line.size || this.#other.declFile < 0) return undefined;
      const length = new Cursor(line.read(statements, 4)).u32();
      const bytes = line.read(statements, Math.min(line.size - statements, length + 12));
      return lineFile(bytes, this.#other.declFile, {
        str: (at) => stringAt(this.#str(), at),
        lineStr: (at) => stringAt(this.#lineStr(), at),
      });
    });
  }

  #built(die: Die, name: string): DwarfEntry {
    return {
      offset: die.offset,
      tag: die.tag,
      name,
      type: die.type < 0 ? undefined : die.type,
      byteSize: die.byteSize < 0 ? undefined : die.byteSize,
      isDeclaration: die.declaration,
      length: dimension(die),
      memberOffset: die.memberOffset,
      address: die.address,
    };
  }

  /** First entry of a name in the file among some kinds; searches as many more units as that takes. */
  #lookup(name: string, kinds: readonly number[]): number | undefined {
    const offsets = this.#textOffsets(name);
    for (;;) {
      let first: number | undefined;
      const consider = (text: number): void => {
        for (const kind of kinds) {
          const found = this.#index.get(text * spaces + kind);
          if (found !== undefined && (first === undefined || found < first)) first = found;
        }
      };
      for (const offset of offsets) consider(offset);
      const text = this.#texts.get(name);
      if (text !== undefined) consider(text);
      if (first !== undefined || !this.#searchNext()) return first;
    }
  }

  /** Where .debug_str holds a text: also as the end of longer ones. */
  #textOffsets(name: string): number[] {
    const strings = this.#str();
    const wanted = Buffer.from(`${name}\0`, 'latin1');
    const offsets: number[] = [];
    for (let at = strings.indexOf(wanted); at >= 0; at = strings.indexOf(wanted, at + 1)) offsets.push(at);
    return offsets;
  }

  /** Notes the names of the next unit. @returns false when all have been searched */
  #searchNext(): boolean {
    if (this.#searched === this.#starts.length && !this.#nextHeader()) return false;
    const start = this.#starts[this.#searched++]!;
    this.#guard(start, () => this.#search(this.#unitOf(start)));
    return true;
  }

  #search(unit: Unit): void {
    const die = this.#die;
    if (!unit.read(unit.root, die) || !die.hasChildren) return;
    if (die.tag !== DW_TAG.compile_unit && die.tag !== DW_TAG.partial_unit) return;
    // Rust has namespaces and layouts of its own; its names must not pass for those of C. Assembler has no types.
    if (die.language === DW_LANG_Rust || die.language === DW_LANG_Mips_Assembler) return;
    for (let at = die.next; at >= 0 && at < unit.end; ) {
      switch (unit.tag(at)) {
        case DW_TAG.structure_type:
        case DW_TAG.union_type:
          unit.read(at, die);
          if (!die.declaration && die.byteSize >= 0) this.#note(unit, die, space.tag, at);
          at = unit.behind(die, this.#scratch);
          break;
        case DW_TAG.enumeration_type:
          unit.read(at, die);
          if (!die.declaration && die.byteSize >= 0) this.#note(unit, die, space.tag, at);
          this.#noteEnumerators(unit, die);
          at = unit.behind(die, this.#scratch);
          break;
        case DW_TAG.typedef:
          unit.read(at, die);
          this.#note(unit, die, space.typedef, at);
          at = unit.behind(die, this.#scratch);
          break;
        case DW_TAG.base_type:
          unit.read(at, die);
          this.#note(unit, die, space.base, at);
          at = unit.behind(die, this.#scratch);
          break;
        case DW_TAG.variable:
          unit.read(at, die);
          this.#noteVariable(unit, die);
          at = unit.behind(die, this.#scratch);
          break;
        default:
          at = unit.skip(at, this.#scratch);
      }
    }
  }

  #note(unit: Unit, named: Die, kind: number, offset: number): void {
    const key = this.#textKey(unit, named);
    if (key !== undefined && !this.#index.has(key * spaces + kind))
      this.#index.set(key * spaces + kind, offset);
  }

  /** The definition of a variable that a header declares has no name of its own: it refers to the declaration. */
  #noteVariable(unit: Unit, die: Die): void {
    let named = die;
    if (die.specification >= 0) {
      // Another unit's variable is noted there.
      if (die.specification < unit.start || die.specification >= unit.end) return;
      named = this.#other;
      unit.read(die.specification, named);
      if (die.type < 0) die.type = named.type;
    }
    const key = this.#textKey(unit, named);
    if (key === undefined || this.#index.has(key * spaces + space.globalVariable)) return;
    const kind = named.external ? space.globalVariable : space.staticVariable;
    const known = this.#hasKnownLength(unit, die.type);
    this.#note(unit, named, known ? kind : space.openVariable, die.offset);
  }

  /** Whether a type is anything but an array of which only the elements are known. */
  #hasKnownLength(unit: Unit, offset: number): boolean {
    const die = this.#scratch;
    let at = offset;
    for (let links = 0; links < maxLinks && at >= unit.start && at < unit.end; links++) {
      const tag = unit.tag(at);
      unit.read(at, die);
      if (tag === DW_TAG.array_type) {
        if (!die.hasChildren) return false;
        return unit.read(die.next, die) && die.tag === DW_TAG.subrange_type && dimension(die) !== undefined;
      }
      if (!isTransparent(tag)) return true;
      at = die.type;
    }
    return true;
  }

  #noteEnumerators(unit: Unit, enumeration: Die): void {
    if (!enumeration.hasChildren) return;
    const each = this.#other;
    let at = enumeration.next;
    if (!unit.read(at, each)) return;
    const first = this.#textKey(unit, each);
    if (first === undefined) return;
    // Two enumerations that begin alike on the same line of a file are the same one.
    const seen = first * 0x1_0000 + (enumeration.declLine & 0xffff);
    if (this.#enumerations.has(seen)) return;
    this.#enumerations.add(seen);
    for (; unit.read(at, each); at = unit.behind(each, this.#scratch))
      if (each.tag === DW_TAG.enumerator) this.#note(unit, each, space.enumerator, each.offset);
  }

  /** Identity of a name: its offset in .debug_str, or a negative number for a text that is not there. */
  #textKey(unit: Unit, die: Die): number | undefined {
    if (die.nameIn === nameIn.str) return die.nameAt;
    if (die.nameIn === nameIn.none) return undefined;
    const text = this.#text(unit, die);
    let key = this.#texts.get(text);
    if (key === undefined) {
      key = -(this.#texts.size + 1);
      this.#texts.set(text, key);
    }
    return key;
  }

  #text(unit: Unit, die: Die): string {
    switch (die.nameIn) {
      case nameIn.str:
        return stringAt(this.#str(), die.nameAt);
      case nameIn.lineStr:
        return stringAt(this.#lineStr(), die.nameAt);
      case nameIn.inline:
        return unit.inlineText(die.nameAt);
      default:
        return '';
    }
  }

  #str(): Buffer {
    this.#strings ??= whole(this.#sections.str);
    return this.#strings;
  }

  #lineStr(): Buffer {
    this.#lineStrings ??= whole(this.#sections.lineStr);
    return this.#lineStrings;
  }

  /** The unit that holds an offset. */
  #unitOf(offset: number): Unit {
    while (this.#headersEnd <= offset && this.#nextHeader()) {
      // A reference into a unit that was not reached yet.
    }
    if (offset < 0 || offset >= this.#headersEnd) throw new RangeError(`no unit holds offset ${offset}`);
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    const start = this.#starts[low]!;
    let unit = this.#units.get(start);
    if (unit === undefined) {
      unit = this.#open(start, this.#starts[low + 1] ?? this.#headersEnd);
      const [oldest] = this.#units.keys();
      if (this.#units.size >= cachedUnits && oldest !== undefined) this.#units.delete(oldest);
    } else {
      this.#units.delete(start);
    }
    this.#units.set(start, unit);
    return unit;
  }

  /** Reads the length of the unit at #headersEnd. @returns false at the end of .debug_info */
  #nextHeader(): boolean {
    const { info } = this.#sections;
    const start = this.#headersEnd;
    if (start + 4 > info.size) return false;
    return this.#guard(start, () => {
      const cursor = new Cursor(info.read(start, 12));
      let length = cursor.u32();
      if (length === 0xffff_ffff) length = cursor.long();
      const end = start + cursor.at + length;
      if (end > info.size) throw new RangeError(`a unit of ${length} bytes, ${info.size - start} are left`);
      this.#starts.push(start);
      this.#headersEnd = end;
      return true;
    });
  }

  #open(start: number, end: number): Unit {
    const bytes = this.#sections.info.read(start, end - start);
    const cursor = new Cursor(bytes.subarray(0, longestHeader));
    let offsetSize = 4;
    if (cursor.u32() === 0xffff_ffff) {
      offsetSize = 8;
      cursor.skip(8);
    }
    // Zeros between units are units without content.
    if (bytes.length < cursor.at + 7) return emptyUnit(start, bytes);
    const version = cursor.u16();
    if (version < 2 || version > 5) return emptyUnit(start, bytes);
    let kind: number = DW_UT.compile;
    let addressSize = 0;
    if (version >= 5) {
      kind = cursor.u8();
      addressSize = cursor.u8();
    }
    const abbreviationsAt = cursor.offset(offsetSize);
    if (version < 5) addressSize = cursor.u8();
    if (kind === DW_UT.skeleton || kind === DW_UT.split_compile) cursor.skip(8);
    else if (kind === DW_UT.type || kind === DW_UT.split_type) cursor.skip(8 + offsetSize);
    const encoding = { version, addressSize, offsetSize };

    const key = `${abbreviationsAt} ${addressSize} ${offsetSize} ${version}`;
    if (this.#abbreviations?.key !== key) {
      const table = readAbbreviations(this.#sections.abbrev, abbreviationsAt, encoding);
      this.#abbreviations = { key, table };
    }
    const { table } = this.#abbreviations;
    const stringOffsets = (base: number, index: number, width: number): number =>
      new Cursor(this.#sections.strOffsets.read(base + index * width, width)).offset(width);
    const unit = new Unit(start, bytes, start + cursor.at, encoding, table, stringOffsets);
    if (this.#sections.strOffsets.size > 0) {
      unit.read(unit.root, this.#scratch);
      unit.strOffsetsBase = this.#scratch.strOffsetsBase;
    }
    return unit;
  }

  #guard<T>(offset: number, action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new KdumpError(
        'bad-dwarf',
        `${this.#name}: .debug_info at offset ${offset} cannot be understood: ${error.message}`,
        { facts: { offset }, cause: error },
      );
    }
  }
}

/** Whether values of a type look like those of the type it refers to. */
export function isTransparent(tag: number): boolean {
  return (
    tag === DW_TAG.typedef ||
    tag === DW_TAG.const_type ||
    tag === DW_TAG.volatile_type ||
    tag === DW_TAG.restrict_type ||
    tag === DW_TAG.atomic_type
  );
}

/** Elements of an array's dimension; an upper bound of -1 is how older compilers write none. */
function dimension(die: Die): number | undefined {
  if (die.count >= 0) return die.count;
  if (die.upperBound < 0) return undefined;
  return die.upperBound >= 2 ** 32 - 1 ? 0 : die.upperBound + 1;
}

function whole(section: SectionBytes): Buffer {
  const bytes = section.read(0, section.size);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A unit of a version that is unknown, or padding: it takes its place and holds nothing. */
function emptyUnit(start: number, bytes: Uint8Array): Unit {
  const encoding = { version: 0, addressSize: 8, offsetSize: 4 };
  // Its only entry is a null entry.
  const nothing = new Uint8Array(Math.max(1, bytes.length));
  return new Unit(start, nothing, start, encoding, [], () => 0);
}
