import { DW_FORM, DW_LNCT } from './constants.ts';
import { Cursor } from './cursor.ts';

/** What the table needs of the string sections. */
export type LineStrings = { str(offset: number): string; lineStr(offset: number): string };

/** Most entries of a table; a unit has hundreds. */
const maxEntries = 2 ** 20;

/**
 * Path of source file `index` as the line number program header lists it (DWARF 5, 6.2.4; 4, 6.2.4): relative to the
 * directory of compilation unless its directory is absolute; undefined when the table has no such file.
 * @param bytes of .debug_line from the header on
 * @throws RangeError when the header does not fit
 */
export function lineFile(bytes: Uint8Array, index: number, strings: LineStrings): string | undefined {
  const cursor = new Cursor(bytes);
  let offsetSize = 4;
  if (cursor.u32() === 0xffff_ffff) {
    offsetSize = 8;
    cursor.skip(8);
  }
  const version = cursor.u16();
  // Address size and segment selector size came with version 5.
  if (version >= 5) cursor.skip(2);
  cursor.offset(offsetSize);
  // minimum_instruction_length, maximum_operations_per_instruction (since 4), default_is_stmt, line_base, line_range
  cursor.skip(version >= 4 ? 5 : 4);
  const opcodeBase = cursor.u8();
  cursor.skip(Math.max(0, opcodeBase - 1));
  const { directories, files, first } =
    version >= 5 ? tables5(cursor, offsetSize, strings) : tables4(cursor, index);
  const file = files[index - first];
  if (file === undefined) return undefined;
  // Entry 0 is the directory of compilation itself: written in version 5, implied before.
  const directory = file.directory === 0 ? undefined : directories[file.directory - first];
  return file.path.startsWith('/') || directory === undefined ? file.path : `${directory}/${file.path}`;
}

type Tables = {
  readonly directories: readonly string[];
  readonly files: readonly { readonly path: string; readonly directory: number }[];
  /** Number of the first entry. */
  readonly first: number;
};

function tables5(cursor: Cursor, offsetSize: number, strings: LineStrings): Tables {
  const directories = entries(cursor, offsetSize, strings).map((entry) => entry.path);
  return { directories, files: entries(cursor, offsetSize, strings), first: 0 };
}

function entries(
  cursor: Cursor,
  offsetSize: number,
  strings: LineStrings,
): { path: string; directory: number }[] {
  const formats = Array.from(
    { length: cursor.u8() },
    () => [cursor.uleb(), cursor.uleb()] as [content: number, form: number],
  );
  const count = cursor.uleb();
  if (count > maxEntries) throw new RangeError(`${count} entries in a line number table`);
  return Array.from({ length: count }, () => {
    const entry = { path: '', directory: 0 };
    for (const [content, form] of formats) {
      const value = entryValue(cursor, form, offsetSize, strings);
      if (content === DW_LNCT.path) entry.path = String(value);
      else if (content === DW_LNCT.directory_index) entry.directory = Number(value);
    }
    return entry;
  });
}

function entryValue(cursor: Cursor, form: number, offsetSize: number, strings: LineStrings): string | number {
  switch (form) {
    case DW_FORM.string:
      return cursor.string();
    case DW_FORM.strp:
      return strings.str(cursor.offset(offsetSize));
    case DW_FORM.line_strp:
      return strings.lineStr(cursor.offset(offsetSize));
    case DW_FORM.data1:
      return cursor.u8();
    case DW_FORM.data2:
      return cursor.u16();
    case DW_FORM.data4:
      return cursor.u32();
    case DW_FORM.data8:
      return cursor.long();
    case DW_FORM.udata:
      return cursor.uleb();
    case DW_FORM.data16:
      cursor.skip(16);
      return 0;
    case DW_FORM.block:
      cursor.skip(cursor.uleb());
      return 0;
    default:
      throw new RangeError(`unknown DW_FORM 0x${form.toString(16)} in a line number table`);
  }
}

/** Versions 2 to 4: lists of names that an empty one ends; counted from 1. */
function tables4(cursor: Cursor, wanted: number): Tables {
  const directories: string[] = [];
  for (let name = cursor.string(); name !== ''; name = cursor.string()) directories.push(name);
  const files: { path: string; directory: number }[] = [];
  while (files.length < wanted) {
    const path = cursor.string();
    if (path === '') break;
    const directory = cursor.uleb();
    // Time of modification and length.
    cursor.uleb();
    cursor.uleb();
    files.push({ path, directory });
  }
  return { directories, files, first: 1 };
}
