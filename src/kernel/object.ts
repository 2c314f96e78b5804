import { KdumpError } from '../lib/errors.ts';
import type { CPlace, CType } from './ctype.ts';
import { isMissing, type Missing, missing, type VirtualMemory } from './memory.ts';

/**
 * What lies in memory, as plain values: integers of up to 32 bits are numbers, wider ones and pointers bigints, enums the
 * names of their constants (or their number when it has none), arrays of char strings, structures objects in which the
 * members of anonymous ones are their own. What cannot be read is Missing in its place.
 */
export type Value =
  | number
  | bigint
  | boolean
  | string
  | Missing
  | readonly Value[]
  | { readonly [member: string]: Value };

/** Bytes that are read of one thing. */
const maxBytes = 2 ** 24;
/** Characters of a string that a pointer leads to. */
const maxText = 4096;

/** Something of a type at an address: what drgn calls a reference. Nothing is read before it is asked for. */
export class KernelObject {
  readonly #memory: VirtualMemory;
  readonly type: CType;
  readonly address: bigint;
  /** The bits that it consists of, when it is a bit-field. */
  readonly bitField: CPlace['bitField'];

  constructor(memory: VirtualMemory, type: CType, address: bigint, bitField?: CPlace['bitField']) {
    this.#memory = memory;
    this.type = type;
    this.address = BigInt.asUintN(64, address);
    this.bitField = bitField;
  }

  /**
   * A member by its path ('thread.sp', 'mem[0].base'); of several paths the first that this kernel's type has.
   * @throws KdumpError `no-member` when it has none of them
   */
  member(...paths: readonly string[]): KernelObject {
    const found = this.find(...paths);
    if (found !== undefined) return found;
    throw new KdumpError(
      'no-member',
      `${this.type.name || 'the structure'} has no member ${paths.join(' or ')} in this kernel`,
    );
  }

  /** The same; undefined when it has none. */
  find(...paths: readonly string[]): KernelObject | undefined {
    for (const path of paths) {
      const place = this.type.place(path);
      if (place !== undefined)
        return new KernelObject(
          this.#memory,
          place.type,
          this.address + BigInt(place.offset),
          place.bitField,
        );
    }
    return undefined;
  }

  /** A member by a path that goes through pointers, too ('mm.owner.comm'). @throws KdumpError `no-member` */
  follow(path: string): KernelObject | Missing {
    let at: KernelObject = this;
    for (const step of path.split('.')) {
      const inside = at.type.bare.kind === 'pointer' ? at.deref() : at;
      if (isMissing(inside)) return inside;
      at = inside.member(step);
    }
    return at;
  }

  /** Element of an array, or of what a pointer leads to. */
  at(index: number): KernelObject | Missing {
    const bare = this.type.bare;
    const start = bare.kind === 'pointer' ? this.integer() : this.address;
    if (isMissing(start)) return start;
    const element = bare.target;
    if (element === undefined)
      throw new KdumpError(
        'not-an-array',
        `${this.type.name || this.type.kind} is neither array nor pointer`,
      );
    return new KernelObject(this.#memory, element, start + BigInt(index * element.size));
  }

  /** What a pointer leads to; Missing for NULL, too. */
  deref(): KernelObject | Missing {
    const to = this.integer();
    if (isMissing(to)) return to;
    const target = this.type.bare.target;
    if (target === undefined)
      throw new KdumpError('not-a-pointer', `${this.type.name || this.type.kind} is no pointer`);
    return to === 0n ? missing('unmapped', 0) : new KernelObject(this.#memory, target, to);
  }

  /** Value of an integer, boolean, enum or pointer. */
  integer(): bigint | Missing {
    const bare = this.type.bare;
    const size = bare.size === 0 ? 8 : Math.min(bare.size, 8);
    const field = this.bitField;
    const bytes = this.#memory.read(this.address, field ? Math.ceil((field.shift + field.bits) / 8) : size);
    if (isMissing(bytes)) return bytes;
    return integerOf(bare, bytes, 0, field);
  }

  /** The same as a number: for what is known to fit. */
  number(): number | Missing {
    const value = this.integer();
    return isMissing(value) ? value : Number(value);
  }

  /** Text of an array of characters, or that a pointer leads to; up to its NUL. One byte is one character (latin1). */
  text(): string | Missing {
    const bare = this.type.bare;
    if (bare.kind === 'array') {
      const bytes = this.#memory.read(this.address, Math.min(bare.size, maxBytes));
      return isMissing(bytes) ? bytes : textOf(bytes);
    }
    const to = this.integer();
    return isMissing(to) ? to : readText(this.#memory, to);
  }

  value(): Value {
    return readValue(this.#memory, this.type, this.address, this.bitField);
  }

  /** Its bytes as they are. */
  bytes(): Uint8Array | Missing {
    return this.#memory.read(this.address, Math.min(this.type.size, maxBytes));
  }
}

/** A string that ends with a NUL, at most 4096 characters of it; what lies on a page that is missing ends it. */
export function readText(memory: VirtualMemory, address: bigint): string | Missing {
  let text = '';
  for (let at = address; text.length < maxText; ) {
    const length = Math.min(256, 4096 - Number(at & 0xfffn));
    const bytes = memory.read(at, length);
    if (isMissing(bytes)) return text === '' ? bytes : text;
    text += Buffer.from(bytes).toString('latin1');
    const end = text.indexOf('\0');
    if (end >= 0) return text.slice(0, end);
    at += BigInt(length);
  }
  return text.slice(0, maxText);
}

/** Everything that lies at an address, as plain values. */
export function readValue(
  memory: VirtualMemory,
  type: CType,
  address: bigint,
  bitField?: CPlace['bitField'],
): Value {
  const bare = type.bare;
  const size = bitField === undefined ? bare.size : Math.ceil((bitField.shift + bitField.bits) / 8);
  if (size > maxBytes) return missing('hole', address);
  const bytes = memory.read(address, size);
  if (!isMissing(bytes)) return decodeValue(bare, bytes, 0, bitField);
  // A part of it may be there.
  if (bare.members.length > 0) {
    return structure(bare, (member, offset, field) =>
      readValue(memory, member, address + BigInt(offset), field),
    );
  }
  const element = bare.kind === 'array' ? bare.target! : undefined;
  if (element === undefined || isCharacter(element)) return bytes;
  return Array.from({ length: bare.length }, (_, i) =>
    readValue(memory, element, address + BigInt(i * element.size)),
  );
}

/** The same for bytes that are at hand. */
export function decodeValue(
  type: CType,
  bytes: Uint8Array,
  at: number,
  bitField?: CPlace['bitField'],
): Value {
  const bare = type.bare;
  switch (bare.kind) {
    case 'struct':
    case 'union':
      return structure(bare, (member, offset, field) => decodeValue(member, bytes, at + offset, field));
    case 'array': {
      const element = bare.target!;
      if (isCharacter(element)) return textOf(bytes.subarray(at, at + bare.size));
      return Array.from({ length: bare.length }, (_, i) =>
        decodeValue(element, bytes, at + i * element.size),
      );
    }
    case 'pointer':
    case 'integer':
    case 'boolean':
    case 'enum': {
      const value = integerOf(bare, bytes, at, bitField);
      if (bare.kind === 'boolean') return value !== 0n;
      if (bare.kind === 'enum') {
        const constant = bare.enumerators.find((each) => each.value === value);
        return constant?.name ?? narrow(value, bare.size);
      }
      return bare.kind === 'pointer' ? value : narrow(value, bitField ? bitField.bits / 8 : bare.size);
    }
    case 'float': {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, bare.size);
      return bare.size === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
    }
    default:
      return {};
  }
}

function structure(
  type: CType,
  read: (member: CType, offset: number, bitField: CPlace['bitField']) => Value,
): { [member: string]: Value } {
  const out: { [member: string]: Value } = {};
  for (const { name, type: member, bitOffset, bits } of type.members) {
    const offset = Math.floor(bitOffset / 8);
    const value = read(
      member,
      offset,
      bits === undefined ? undefined : { shift: bitOffset - offset * 8, bits },
    );
    if (name !== '') out[name] = value;
    else if (typeof value === 'object' && !isMissing(value)) Object.assign(out, value);
  }
  return out;
}

function integerOf(bare: CType, bytes: Uint8Array, at: number, field: CPlace['bitField']): bigint {
  const width =
    field === undefined
      ? bare.size === 0
        ? 8
        : Math.min(bare.size, 8)
      : Math.ceil((field.shift + field.bits) / 8);
  const bits = field?.bits ?? width * 8;
  let value = wordAt(bytes, at, width);
  if (field !== undefined) value = BigInt.asUintN(bits, value >> BigInt(field.shift));
  return bare.signed ? BigInt.asIntN(bits, value) : value;
}

/** Up to nine bytes, the last one the highest; by halves, since a bigint for each byte would cost more than reading it. */
function wordAt(bytes: Uint8Array, at: number, width: number): bigint {
  let [low, high] = [0, 0];
  for (let i = Math.min(width, 4) - 1; i >= 0; i--) low = low * 256 + (bytes[at + i] ?? 0);
  if (width <= 4) return BigInt(low);
  for (let i = width - 1; i >= 4; i--) high = high * 256 + (bytes[at + i] ?? 0);
  return (BigInt(high) << 32n) | BigInt(low);
}

const narrow = (value: bigint, size: number): number | bigint => (size <= 4 ? Number(value) : value);

const isCharacter = (type: CType): boolean => type.bare.name === 'char';

function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
