import { Cursor } from './cursor.ts';

/** A row of the line number table: a run of instructions and where they come from. Addresses as linked. */
export type LineRow = { readonly file: number; readonly line: number };

/** Where a unit's program lies in .debug_line, its header included. */
export type LineUnit = { readonly start: number; readonly end: number };

/** What is needed of a program's header (DWARF 5, 6.2.4). */
type Header = {
  readonly program: number;
  readonly minimumLength: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeLengths: readonly number[];
};

/** The units of .debug_line, one behind the other; ends at what is none. */
export function* lineUnits(bytes: Uint8Array): Generator<LineUnit> {
  for (let start = 0; start + 4 <= bytes.length; ) {
    const cursor = new Cursor(bytes, start);
    const first = cursor.u32();
    const length = first === 0xffff_ffff ? cursor.long() : first;
    const end = start + (first === 0xffff_ffff ? 12 : 4) + length;
    if (length === 0 || end > bytes.length) return;
    yield { start, end };
    start = end;
  }
}

/**
 * Runs a line number program (DWARF 2 to 5, 6.2.5) and gives each run of addresses to `take`.
 * @throws RangeError when the program ends early
 */
export function runLineProgram(
  bytes: Uint8Array,
  { start, end }: LineUnit,
  take: (from: number, to: number, file: number, line: number) => void,
): void {
  const header = readHeader(bytes, start);
  const cursor = new Cursor(bytes, header.program);
  const { minimumLength, lineBase, lineRange, opcodeLengths } = header;
  const opcodeBase = opcodeLengths.length + 1;
  // Addresses are kept relative to a base that fits a double only as its low half: the image of a kernel is below 2 GiB.
  let [address, file, line] = [0, 1, 1];
  let previous: { address: number; file: number; line: number } | undefined;
  const row = (last: boolean): void => {
    if (previous !== undefined && address > previous.address)
      take(previous.address, address, previous.file, previous.line);
    previous = last ? undefined : { address, file, line };
  };
  while (cursor.at < end) {
    const opcode = cursor.u8();
    if (opcode >= opcodeBase) {
      const adjusted = opcode - opcodeBase;
      address += minimumLength * Math.floor(adjusted / lineRange);
      line += lineBase + (adjusted % lineRange);
      row(false);
      continue;
    }
    switch (opcode) {
      case 0: {
        const length = cursor.uleb();
        const next = cursor.at + length;
        const extended = cursor.u8();
        if (extended === 1) {
          row(true);
          [address, file, line] = [0, 1, 1];
        } else if (extended === 2) address = Number(cursor.u64() & lowHalf);
        cursor.skip(next - cursor.at);
        break;
      }
      case 1:
        row(false);
        break;
      case 2:
        address += minimumLength * cursor.uleb();
        break;
      case 3:
        line += cursor.sleb();
        break;
      case 4:
        file = cursor.uleb();
        break;
      case 8:
        address += minimumLength * Math.floor((255 - opcodeBase) / lineRange);
        break;
      case 9:
        address += cursor.u16();
        break;
      default:
        for (let operands = opcodeLengths[opcode - 1] ?? 0; operands > 0; operands--) cursor.uleb();
    }
  }
}

/** What addresses are reduced to; a kernel's image lies in the last two gigabytes. */
export const lowHalf = 0xffff_ffffn;

function readHeader(bytes: Uint8Array, start: number): Header {
  const cursor = new Cursor(bytes, start);
  let offsetSize = 4;
  if (cursor.u32() === 0xffff_ffff) {
    offsetSize = 8;
    cursor.skip(8);
  }
  const version = cursor.u16();
  if (version >= 5) cursor.skip(2);
  const length = cursor.offset(offsetSize);
  const program = cursor.at + length;
  const minimumLength = cursor.u8();
  // maximum_operations_per_instruction since 4; default_is_stmt.
  cursor.skip(version >= 4 ? 2 : 1);
  const lineBase = (cursor.u8() << 24) >> 24;
  const lineRange = Math.max(1, cursor.u8());
  const opcodeLengths = Array.from({ length: Math.max(0, cursor.u8() - 1) }, () => cursor.u8());
  return { program, minimumLength, lineBase, lineRange, opcodeLengths };
}
