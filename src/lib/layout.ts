import { KdumpError } from './errors.ts';

/**
 * Layouts as data: a structure on disk or in memory is a table of fields, declared once, and read or written through
 * that table with bounds checks. For headers and single records; loops over pages use typed arrays instead.
 */

/** u64 and i64 are numbers and refuse what a double cannot hold exactly; a64 is a full 64-bit value as a bigint. */
export type FieldType = 'u8' | 'u16' | 'u32' | 'i32' | 'u64' | 'i64' | 'a64';
/** [offset in bytes, type] */
export type Field = readonly [offset: number, type: FieldType];
export type Fields = Readonly<Record<string, Field>>;
export type Layout<F extends Fields> = {
  readonly name: string;
  /** Whole size in bytes, padding included. */
  readonly size: number;
  readonly fields: F;
};
type ValueOf<T extends FieldType> = T extends 'a64' ? bigint : number;
export type Struct<F extends Fields> = { -readonly [K in keyof F]: ValueOf<F[K][1]> };

const widths: Readonly<Record<FieldType, number>> = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, i64: 8, a64: 8 };

/** Declares a little-endian structure; a field outside `size` is a mistake in the table and throws at once. */
export function layout<const F extends Fields>(name: string, size: number, fields: F): Layout<F> {
  for (const [field, [offset, type]] of Object.entries(fields)) {
    if (offset < 0 || offset + widths[type] > size)
      throw new RangeError(`${name}.${field} lies outside its ${size} bytes`);
  }
  return { name, size, fields };
}

/**
 * Reads one structure at `offset` of `bytes`.
 * @param where names the file and the file offset in an error.
 * @throws KdumpError `truncated` when the structure does not fit, `out-of-range` for a u64 above 2^53.
 */
export function readStruct<F extends Fields>(
  shape: Layout<F>,
  bytes: Uint8Array,
  offset = 0,
  where = '',
): Struct<F> {
  if (offset < 0 || offset + shape.size > bytes.length) {
    const at = where === '' ? `offset ${offset}` : where;
    throw new KdumpError(
      'truncated',
      `${shape.name} at ${at}: needs ${shape.size} bytes, ${Math.max(0, bytes.length - offset)} are there`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out: Record<string, number | bigint> = {};
  for (const [field, [at, type]] of Object.entries(shape.fields))
    out[field] = readField(view, offset + at, type, `${shape.name}.${field}`);
  return out as Struct<F>;
}

/** Writes the given fields of one structure at `offset`; fields that are not named keep their bytes. */
export function writeStruct<F extends Fields>(
  shape: Layout<F>,
  bytes: Uint8Array,
  offset: number,
  values: Partial<Struct<F>>,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [field, value] of Object.entries(values) as [string, number | bigint][]) {
    const [at, type] = shape.fields[field]!;
    writeField(view, offset + at, type, value, `${shape.name}.${field}`);
  }
}

function readField(view: DataView, at: number, type: FieldType, name: string): number | bigint {
  switch (type) {
    case 'u8':
      return view.getUint8(at);
    case 'u16':
      return view.getUint16(at, true);
    case 'u32':
      return view.getUint32(at, true);
    case 'i32':
      return view.getInt32(at, true);
    case 'a64':
      return view.getBigUint64(at, true);
    case 'u64':
      return exact(view.getBigUint64(at, true), name);
    case 'i64':
      return exact(view.getBigInt64(at, true), name);
  }
}

function writeField(view: DataView, at: number, type: FieldType, value: number | bigint, name: string): void {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new RangeError(`${name} = ${value} is not an exact integer`);
  switch (type) {
    case 'u8':
      view.setUint8(at, Number(value));
      break;
    case 'u16':
      view.setUint16(at, Number(value), true);
      break;
    case 'u32':
      view.setUint32(at, Number(value), true);
      break;
    case 'i32':
      view.setInt32(at, Number(value), true);
      break;
    case 'u64':
    case 'i64':
    case 'a64':
      view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
      break;
  }
}

function exact(value: bigint, name: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new KdumpError(
      'out-of-range',
      `${name} = 0x${BigInt.asUintN(64, value).toString(16)} is beyond 2^53`,
    );
  return number;
}
