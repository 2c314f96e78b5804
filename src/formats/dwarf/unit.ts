import type { AbbreviationTable, Encoding } from './abbreviations.ts';
import { DW_AT, DW_FORM, DW_OP_addr, DW_OP_plus_uconst } from './constants.ts';
import { Cursor } from './cursor.ts';

/** Where the text of a name is. */
export const nameIn = { none: 0, str: 1, lineStr: 2, inline: 3 } as const;

/**
 * One debugging information entry, as far as types and variables need it. One object is filled again and again while
 * units are searched, so that nothing is built for the millions of entries that nobody asks for.
 */
export class Die {
  /** Offset in .debug_info; bytes. */
  offset = 0;
  tag = 0;
  hasChildren = false;
  /** Where its attributes end, in .debug_info: its first child, or the next entry. */
  next = 0;
  nameIn: number = nameIn.none;
  /** Offset in the section that `nameIn` tells; of an inline name in .debug_info. */
  nameAt = 0;
  /** References are offsets in .debug_info; -1 when there is none. */
  sibling = -1;
  type = -1;
  specification = -1;
  declaration = false;
  external = false;
  /** Bytes; -1 when it does not say. */
  byteSize = -1;
  /** Of an array's dimension; -1 when it does not say. */
  upperBound = -1;
  count = -1;
  /** Bytes from the start of the structure. */
  memberOffset = 0;
  /** Virtual address of a variable at a fixed place. */
  address: bigint | undefined;
  /** Of an enumerator: place in .debug_info and form of the value. */
  valueAt = -1;
  valueForm = 0;
  valueConstant = 0;
  declFile = -1;
  declLine = 0;
  language = 0;
  statements = -1;
  strOffsetsBase = -1;

  reset(offset: number): void {
    this.offset = offset;
    this.nameIn = nameIn.none;
    this.sibling = this.type = this.specification = -1;
    this.byteSize = this.upperBound = this.count = this.valueAt = this.declFile = -1;
    this.statements = this.strOffsetsBase = -1;
    this.declaration = this.external = false;
    this.memberOffset = this.declLine = this.language = this.valueForm = this.valueConstant = 0;
    this.address = undefined;
  }
}

/** What a unit needs of the other sections. */
export type StringOffsets = (base: number, index: number, offsetSize: number) => number;

/** Kinds of form values. */
const is = { ignored: 0, constant: 1, reference: 2, str: 3, lineStr: 4, inline: 5, block: 6 } as const;

/** A unit of .debug_info with its bytes. All offsets that go in and out are offsets in .debug_info. */
export class Unit {
  /** Of its header, and of the byte behind its last one. */
  readonly start: number;
  readonly end: number;
  readonly encoding: Encoding;
  /** Of its first entry. */
  readonly root: number;
  /** In .debug_str_offsets; -1 when its names are found without. */
  strOffsetsBase = -1;
  readonly #abbreviations: AbbreviationTable;
  readonly #cursor: Cursor;
  readonly #stringOffsets: StringOffsets;
  /** What the last `#form` read. */
  #value = 0;
  #length = 0;

  /** @param bytes from the header on */
  constructor(
    start: number,
    bytes: Uint8Array,
    root: number,
    encoding: Encoding,
    abbreviations: AbbreviationTable,
    stringOffsets: StringOffsets,
  ) {
    this.start = start;
    this.end = start + bytes.length;
    this.root = root;
    this.encoding = encoding;
    this.#abbreviations = abbreviations;
    this.#cursor = new Cursor(bytes);
    this.#stringOffsets = stringOffsets;
  }

  /** Reads the entry at `offset`. @returns false for the null entry that ends a list of children */
  read(offset: number, die: Die): boolean {
    const cursor = this.#cursor;
    cursor.at = offset - this.start;
    const code = cursor.uleb();
    die.reset(offset);
    if (code === 0) {
      die.next = cursor.at + this.start;
      return false;
    }
    const abbreviation = this.#abbreviations[code];
    if (abbreviation === undefined) throw new RangeError(`unknown abbreviation ${code} at ${offset}`);
    die.tag = abbreviation.tag;
    die.hasChildren = abbreviation.hasChildren;
    const { specs, constants } = abbreviation;
    for (let i = 0; i < specs.length; i += 2) {
      const at = cursor.at;
      const form = specs[i + 1]!;
      let kind: number;
      if (form === DW_FORM.implicit_const) {
        this.#value = constants.get(i) ?? 0;
        kind = is.constant;
      } else {
        kind = this.#form(form);
      }
      this.#keep(die, specs[i]!, form, kind, at);
    }
    die.next = cursor.at + this.start;
    return true;
  }

  /** Text of a name that is written into the entry itself. */
  inlineText(offset: number): string {
    this.#cursor.at = offset - this.start;
    return this.#cursor.string();
  }

  /** Exact value of an enumerator. */
  constant(die: Die): bigint {
    const cursor = this.#cursor;
    cursor.at = die.valueAt - this.start;
    switch (die.valueForm) {
      case DW_FORM.data8:
        return cursor.u64();
      case DW_FORM.udata:
        return cursor.bigLeb(false);
      case DW_FORM.sdata:
        return cursor.bigLeb(true);
      default:
        return BigInt(die.valueConstant);
    }
  }

  /**
   * Offset of the entry behind `offset`, without reading more of it than that takes; children are passed over.
   * @returns -1 behind the last one of a list
   */
  skip(offset: number, scratch: Die): number {
    const cursor = this.#cursor;
    cursor.at = offset - this.start;
    const code = cursor.uleb();
    if (code === 0) return -1;
    const abbreviation = this.#abbreviations[code];
    if (abbreviation === undefined) throw new RangeError(`unknown abbreviation ${code} at ${offset}`);
    if (abbreviation.fixedSize >= 0) {
      if (!abbreviation.hasChildren) return cursor.at + abbreviation.fixedSize + this.start;
      if (abbreviation.siblingAt >= 0) {
        cursor.at += abbreviation.siblingAt;
        return this.#forward(cursor.u32() + this.start, offset);
      }
    }
    this.read(offset, scratch);
    return this.behind(scratch, scratch);
  }

  /** Tag of the entry at `offset`; 0 for a null entry. */
  tag(offset: number): number {
    this.#cursor.at = offset - this.start;
    const code = this.#cursor.uleb();
    if (code === 0) return 0;
    const abbreviation = this.#abbreviations[code];
    if (abbreviation === undefined) throw new RangeError(`unknown abbreviation ${code} at ${offset}`);
    return abbreviation.tag;
  }

  /** Offset behind an entry that was read, and behind its children. */
  behind(die: Die, scratch: Die): number {
    if (!die.hasChildren) return die.next;
    if (die.sibling >= 0) return this.#forward(die.sibling, die.offset);
    let depth = 1;
    let at = die.next;
    while (depth > 0) {
      const hasEntry = this.read(at, scratch);
      at = scratch.next;
      if (!hasEntry) depth--;
      else if (scratch.hasChildren) {
        if (scratch.sibling >= 0) at = this.#forward(scratch.sibling, scratch.offset);
        else depth++;
      }
    }
    return at;
  }

  /** A sibling lies ahead: one that does not would be a circle. */
  #forward(target: number, from: number): number {
    if (target <= from || target > this.end)
      throw new RangeError(`DW_AT_sibling of ${from} leads to ${target}`);
    return target;
  }

  #keep(die: Die, attribute: number, form: number, kind: number, at: number): void {
    const value = this.#value;
    switch (attribute) {
      case DW_AT.name:
        if (kind === is.str) die.nameIn = nameIn.str;
        else if (kind === is.lineStr) die.nameIn = nameIn.lineStr;
        else if (kind === is.inline) die.nameIn = nameIn.inline;
        die.nameAt = value;
        break;
      case DW_AT.sibling:
        if (kind === is.reference) die.sibling = value;
        break;
      case DW_AT.type:
        if (kind === is.reference) die.type = value;
        break;
      case DW_AT.specification:
        if (kind === is.reference) die.specification = value;
        break;
      case DW_AT.declaration:
        die.declaration = value !== 0;
        break;
      case DW_AT.external:
        die.external = value !== 0;
        break;
      case DW_AT.byte_size:
        if (kind === is.constant) die.byteSize = value;
        break;
      case DW_AT.upper_bound:
        if (kind === is.constant) die.upperBound = value;
        break;
      case DW_AT.count:
        if (kind === is.constant) die.count = value;
        break;
      case DW_AT.data_member_location:
        if (kind === is.constant) die.memberOffset = value;
        else if (kind === is.block) die.memberOffset = this.#addedConstant(value);
        break;
      case DW_AT.data_bit_offset:
        if (kind === is.constant) die.memberOffset = Math.floor(value / 8);
        break;
      case DW_AT.location:
        if (kind === is.block) die.address = this.#fixedAddress(value);
        break;
      case DW_AT.const_value:
        if (kind === is.constant) {
          die.valueAt = at + this.start;
          die.valueForm = form;
          die.valueConstant = value;
        }
        break;
      case DW_AT.decl_file:
        die.declFile = value;
        break;
      case DW_AT.decl_line:
        die.declLine = value;
        break;
      case DW_AT.language:
        die.language = value;
        break;
      case DW_AT.stmt_list:
        die.statements = value;
        break;
      case DW_AT.str_offsets_base:
        die.strOffsetsBase = value;
        break;
    }
  }

  /** Reads a value into #value. @returns what kind of value it is */
  #form(form: number): number {
    const cursor = this.#cursor;
    const { version, addressSize, offsetSize } = this.encoding;
    this.#value = 0;
    switch (form) {
      case DW_FORM.data1:
      case DW_FORM.flag:
        this.#value = cursor.u8();
        return is.constant;
      case DW_FORM.flag_present:
        this.#value = 1;
        return is.constant;
      case DW_FORM.data2:
        this.#value = cursor.u16();
        return is.constant;
      case DW_FORM.data4:
        this.#value = cursor.u32();
        return is.constant;
      case DW_FORM.data8:
        this.#value = cursor.long();
        return is.constant;
      case DW_FORM.sdata:
        this.#value = cursor.sleb();
        return is.constant;
      case DW_FORM.udata:
        this.#value = cursor.uleb();
        return is.constant;
      case DW_FORM.sec_offset:
        this.#value = cursor.offset(offsetSize);
        return is.constant;
      case DW_FORM.strp:
        this.#value = cursor.offset(offsetSize);
        return is.str;
      case DW_FORM.line_strp:
        this.#value = cursor.offset(offsetSize);
        return is.lineStr;
      case DW_FORM.string: {
        this.#value = cursor.at + this.start;
        const end = cursor.bytes.indexOf(0, cursor.at);
        if (end < 0) throw new RangeError(`text without an end at ${this.#value}`);
        cursor.at = end + 1;
        return is.inline;
      }
      case DW_FORM.ref1:
        this.#value = cursor.u8() + this.start;
        return is.reference;
      case DW_FORM.ref2:
        this.#value = cursor.u16() + this.start;
        return is.reference;
      case DW_FORM.ref4:
        this.#value = cursor.u32() + this.start;
        return is.reference;
      case DW_FORM.ref8:
        this.#value = cursor.long() + this.start;
        return is.reference;
      case DW_FORM.ref_udata:
        this.#value = cursor.uleb() + this.start;
        return is.reference;
      case DW_FORM.ref_addr:
        this.#value = cursor.offset(version <= 2 ? addressSize : offsetSize);
        return is.reference;
      case DW_FORM.strx:
      case DW_FORM.GNU_str_index:
        return this.#indexed(cursor.uleb());
      case DW_FORM.strx1:
        return this.#indexed(cursor.u8());
      case DW_FORM.strx2:
        return this.#indexed(cursor.u16());
      case DW_FORM.strx3:
        return this.#indexed(cursor.u24());
      case DW_FORM.strx4:
        return this.#indexed(cursor.u32());
      case DW_FORM.exprloc:
      case DW_FORM.block:
        return this.#block(cursor.uleb());
      case DW_FORM.block1:
        return this.#block(cursor.u8());
      case DW_FORM.block2:
        return this.#block(cursor.u16());
      case DW_FORM.block4:
        return this.#block(cursor.u32());
      case DW_FORM.indirect: {
        const real = cursor.uleb();
        // Its own form again would be a circle; implicit_const has its value elsewhere.
        if (real === DW_FORM.indirect || real === DW_FORM.implicit_const)
          throw new RangeError('DW_FORM_indirect');
        return this.#form(real);
      }
      case DW_FORM.addrx:
      case DW_FORM.loclistx:
      case DW_FORM.rnglistx:
      case DW_FORM.GNU_addr_index:
        cursor.uleb();
        return is.ignored;
      case DW_FORM.addrx1:
        cursor.skip(1);
        return is.ignored;
      case DW_FORM.addrx2:
        cursor.skip(2);
        return is.ignored;
      case DW_FORM.addrx3:
        cursor.skip(3);
        return is.ignored;
      case DW_FORM.addrx4:
      case DW_FORM.ref_sup4:
        cursor.skip(4);
        return is.ignored;
      case DW_FORM.ref_sig8:
      case DW_FORM.ref_sup8:
        cursor.skip(8);
        return is.ignored;
      case DW_FORM.data16:
        cursor.skip(16);
        return is.ignored;
      case DW_FORM.addr:
        cursor.skip(addressSize);
        return is.ignored;
      case DW_FORM.strp_sup:
      case DW_FORM.GNU_ref_alt:
      case DW_FORM.GNU_strp_alt:
        cursor.skip(offsetSize);
        return is.ignored;
      default:
        throw new RangeError(`unknown DW_FORM 0x${form.toString(16)}`);
    }
  }

  #indexed(index: number): number {
    // The root's own name may stand before the base that it needs; nobody asks for the names of units.
    if (this.strOffsetsBase < 0) return is.ignored;
    this.#value = this.#stringOffsets(this.strOffsetsBase, index, this.encoding.offsetSize);
    return is.str;
  }

  #block(length: number): number {
    this.#value = this.#cursor.at;
    this.#length = length;
    this.#cursor.skip(length);
    return is.block;
  }

  /** DWARF 2 writes a member's place as an expression that adds a constant. */
  #addedConstant(at: number): number {
    const inside = new Cursor(this.#cursor.bytes, at);
    return this.#length > 1 && inside.u8() === DW_OP_plus_uconst ? inside.uleb() : 0;
  }

  #fixedAddress(at: number): bigint | undefined {
    const inside = new Cursor(this.#cursor.bytes, at);
    return this.#length === 9 && inside.u8() === DW_OP_addr ? inside.u64() : undefined;
  }
}
