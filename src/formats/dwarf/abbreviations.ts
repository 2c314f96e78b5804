import type { ReadAt } from '../elf.ts';
import { DW_AT, DW_FORM } from './constants.ts';
import { Cursor } from './cursor.ts';

/** Shape of the debugging information entries that share one abbreviation code (DWARF 5, 7.5.3). */
export type Abbreviation = {
  readonly tag: number;
  readonly hasChildren: boolean;
  /** Attribute, form, attribute, form … */
  readonly specs: readonly number[];
  /** Values of DW_FORM_implicit_const, by index into `specs`. */
  readonly constants: ReadonlyMap<number, number>;
  /** Bytes of all its attributes; -1 when that differs from entry to entry. */
  readonly fixedSize: number;
  /** Where a 4-byte DW_AT_sibling lies behind the code, bytes; -1 when not always at one place, or there is none. */
  readonly siblingAt: number;
};

/** How a unit writes addresses and offsets. */
export type Encoding = {
  readonly version: number;
  /** Bytes of an address. */
  readonly addressSize: number;
  /** Bytes of an offset into a section: 4 or 8. */
  readonly offsetSize: number;
};

/** Indexed by code. */
export type AbbreviationTable = readonly (Abbreviation | undefined)[];

/** Most codes of one table: compilers count from one up, a unit uses some hundreds. */
const maxCode = 2 ** 20;
const firstWindow = 8192;

/** Reads the table at `offset` of .debug_abbrev. @throws RangeError when it has no end or cannot be right */
export function readAbbreviations(
  section: { readonly size: number; readonly read: ReadAt },
  offset: number,
  encoding: Encoding,
): AbbreviationTable {
  if (offset >= section.size) throw new RangeError(`abbreviations at ${offset} of ${section.size}`);
  // The length is written nowhere. Most tables are small; one that is not is read again, with more bytes.
  for (let length = firstWindow; ; length *= 4) {
    const bytes = section.read(offset, Math.min(length, section.size - offset));
    try {
      return parse(new Cursor(bytes), encoding);
    } catch (error) {
      if (!(error instanceof RangeError) || bytes.length < length) throw error;
    }
  }
}

function parse(cursor: Cursor, encoding: Encoding): AbbreviationTable {
  const table: (Abbreviation | undefined)[] = [];
  for (;;) {
    const code = cursor.uleb();
    if (code === 0) return table;
    if (code > maxCode) throw new RangeError(`abbreviation code ${code}`);
    const tag = cursor.uleb();
    const hasChildren = cursor.u8() !== 0;
    const specs: number[] = [];
    const constants = new Map<number, number>();
    let size = 0;
    let siblingAt = -1;
    for (;;) {
      const attribute = cursor.uleb();
      const form = cursor.uleb();
      if (form === DW_FORM.implicit_const) constants.set(specs.length, cursor.sleb());
      if (attribute === 0 && form === 0) break;
      if (attribute === DW_AT.sibling && form === DW_FORM.ref4 && size >= 0) siblingAt = size;
      specs.push(attribute, form);
      const width = formWidth(form, encoding);
      size = size < 0 || width < 0 ? -1 : size + width;
    }
    // Index 0 is never a code; the gap keeps the array dense for the usual codes 1, 2, 3 …
    while (table.length < code && table.length < 4096) table.push(undefined);
    table[code] = { tag, hasChildren, specs, constants, fixedSize: size, siblingAt };
  }
}

/** Bytes of a form whose width never changes; -1 for the others (DWARF 5, 7.5.6). */
function formWidth(form: number, { version, addressSize, offsetSize }: Encoding): number {
  switch (form) {
    case DW_FORM.flag_present:
    case DW_FORM.implicit_const:
      return 0;
    case DW_FORM.data1:
    case DW_FORM.flag:
    case DW_FORM.ref1:
    case DW_FORM.strx1:
    case DW_FORM.addrx1:
      return 1;
    case DW_FORM.data2:
    case DW_FORM.ref2:
    case DW_FORM.strx2:
    case DW_FORM.addrx2:
      return 2;
    case DW_FORM.strx3:
    case DW_FORM.addrx3:
      return 3;
    case DW_FORM.data4:
    case DW_FORM.ref4:
    case DW_FORM.strx4:
    case DW_FORM.addrx4:
    case DW_FORM.ref_sup4:
      return 4;
    case DW_FORM.data8:
    case DW_FORM.ref8:
    case DW_FORM.ref_sig8:
    case DW_FORM.ref_sup8:
      return 8;
    case DW_FORM.data16:
      return 16;
    case DW_FORM.addr:
      return addressSize;
    case DW_FORM.ref_addr:
      return version <= 2 ? addressSize : offsetSize;
    case DW_FORM.strp:
    case DW_FORM.line_strp:
    case DW_FORM.sec_offset:
    case DW_FORM.strp_sup:
    case DW_FORM.GNU_ref_alt:
    case DW_FORM.GNU_strp_alt:
      return offsetSize;
    default:
      return -1;
  }
}
