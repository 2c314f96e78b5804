import type { CPlace, CType } from '../../kernel/ctype.ts';
import { isMissing, type Missing, type VirtualMemory } from '../../kernel/memory.ts';
import { decodeValue, readText } from '../../kernel/object.ts';
import { missingText } from '../text.ts';
import { declare } from './declaration.ts';

/** How values are shown: as gdb does in crash(8), with 'print pretty on'. */
export type ValueStyle = {
  readonly memory: VirtualMemory;
  /** ' <init_task+192>' for an address that has a name; else empty. */
  readonly named: (address: bigint) => string;
  readonly radix: 10 | 16;
};

/** Structures within structures, before it must be a circle. */
const maxDepth = 32;
/** Elements of one array that are shown. */
const maxElements = 16_384;

/** What lies at an address, several lines when it is a structure; what cannot be read is said in its place. */
export function printValue(
  style: ValueStyle,
  type: CType,
  address: bigint,
  bitField?: CPlace['bitField'],
  depth = 0,
): string {
  const size = bitField === undefined ? type.size : Math.ceil((bitField.shift + bitField.bits) / 8);
  const whole = size > 2 ** 24 ? undefined : style.memory.read(address, size);
  const read = (at: bigint, length: number): Uint8Array | Missing => {
    if (whole === undefined || isMissing(whole)) return style.memory.read(at, length);
    const offset = Number(at - address);
    return whole.subarray(offset, offset + length);
  };
  return new Printer(style, read).value(type, address, bitField, depth);
}

/** Something that was computed and lies nowhere, or is a pointer: with its type in front when that is one. */
export function printScalar(style: ValueStyle, type: CType, value: bigint): string {
  const bare = type.bare;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  const text = new Printer(style, () => bytes.subarray(0, bare.size)).value(type, 0n, undefined, 0);
  return castOf(type) + text;
}

/** '(struct task_struct *) ' in front of a pointer that stands alone; pointers to characters go without. */
export function castOf(type: CType): string {
  const { kind, target } = type.bare;
  if (kind !== 'pointer' || (target !== undefined && isTextual(target))) return '';
  return `(${declare(type, '')}) `;
}

/** The string at an address that is one of characters; undefined of any other type. */
export function printTextAt({ memory }: ValueStyle, type: CType, address: bigint): string | undefined {
  if (!isTextual(type)) return undefined;
  const text = readText(memory, address);
  return isMissing(text) ? missingText(text) : quoted(Buffer.from(text, 'latin1'));
}

class Printer {
  readonly #style: ValueStyle;
  readonly #read: (address: bigint, length: number) => Uint8Array | Missing;

  constructor(style: ValueStyle, read: (address: bigint, length: number) => Uint8Array | Missing) {
    this.#style = style;
    this.#read = read;
  }

  value(type: CType, address: bigint, field: CPlace['bitField'], depth: number): string {
    const bare = type.bare;
    if (depth > maxDepth) return '{...}';
    if (bare.kind === 'struct' || bare.kind === 'union') return this.#structure(bare, address, depth);
    if (bare.kind === 'array') return this.#array(bare, address, depth);
    const size = field === undefined ? bare.size : Math.ceil((field.shift + field.bits) / 8);
    const bytes = this.#read(address, size);
    if (isMissing(bytes)) return missingText(bytes);
    return this.#scalar(bare, bytes, field);
  }

  #structure(type: CType, address: bigint, depth: number): string {
    const indent = '  '.repeat(depth + 1);
    const members = type.members.map(({ name, type: member, bitOffset, bits }) => {
      const offset = Math.floor(bitOffset / 8);
      const field = bits === undefined ? undefined : { shift: bitOffset - offset * 8, bits };
      const value = this.value(member, address + BigInt(offset), field, depth + 1);
      return `${indent}${name === '' ? '' : `${name} = `}${value}`;
    });
    if (members.length === 0) return '{<No data fields>}';
    return `{\n${members.join(',\n')}\n${'  '.repeat(depth)}}`;
  }

  #array(type: CType, address: bigint, depth: number): string {
    const element = type.target!;
    // An array without a length is what lies behind the structure: gdb takes it for a pointer.
    if (type.length === 0)
      return `0x${address.toString(16)}${this.#style.named(address)}${this.#textBehind(element, address)}`;
    if (isTextual(element)) {
      const bytes = this.#read(address, type.size);
      return isMissing(bytes)
        ? missingText(bytes)
        : quoted(bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes);
    }
    const count = Math.min(type.length, maxElements);
    const values = Array.from({ length: count }, (_, i) =>
      this.value(element, address + BigInt(i * element.size), undefined, depth + 1),
    );
    return `{${values.join(', ')}${count < type.length ? '...' : ''}}`;
  }

  #scalar(bare: CType, bytes: Uint8Array, field: CPlace['bitField']): string {
    const { radix, named } = this.#style;
    if (bare.kind === 'float') return String(decodeValue(bare, bytes, 0));
    const value = decodeValue(bare, bytes, 0, field);
    if (typeof value === 'string') return value;
    if (bare.kind === 'pointer') {
      const address = value as bigint;
      const text = bare.target === undefined ? '' : this.#textBehind(bare.target, address);
      // Literals have no symbols: a name with a distance would be that of something else.
      const name = named(address);
      return `0x${address.toString(16)}${text !== '' && /\+\d+>$/.test(name) ? '' : name}${text}`;
    }
    const number = typeof value === 'boolean' ? BigInt(value) : BigInt(value as number | bigint);
    if (bare.kind === 'enum') return flagsOf(bare, number);
    if (radix === 16) {
      const width = field?.bits ?? bare.size * 8;
      return `0x${BigInt.asUintN(width, number).toString(16)}`;
    }
    if (bare.kind === 'boolean') return number === 0n ? 'false' : 'true';
    return isTextual(bare) ? `${number} '${character(Number(number) & 0xff, "'")}'` : number.toString();
  }

  #textBehind(target: CType, address: bigint): string {
    const text = address === 0n ? undefined : printTextAt(this.#style, target, address);
    return text === undefined ? '' : ` ${text}`;
  }
}

/** A number that is no constant of an enum: as a union of them when they are bits. */
function flagsOf(type: CType, number: bigint): string {
  let rest = BigInt.asUintN(64, number);
  let bits = 0n;
  const { enumerators } = type;
  for (const { value } of enumerators) {
    if (value < 0n || (value & bits) !== 0n) return number.toString();
    bits |= value;
  }
  const names = enumerators.filter(({ value }) => value !== 0n && (rest & value) === value);
  for (const { value } of names) rest &= ~value;
  if (names.length === 0)
    return rest === 0n ? '0' : bits === 0n ? number.toString() : `(unknown: 0x${rest.toString(16)})`;
  const unknown = rest === 0n ? [] : [`unknown: 0x${rest.toString(16)}`];
  return `(${[...names.map(({ name }) => name), ...unknown].join(' | ')})`;
}

/** Integers of one byte are characters to gdb. */
function isTextual(type: CType): boolean {
  const bare = type.bare;
  return bare.kind === 'integer' && bare.size === 1;
}

const quoted = (bytes: Uint8Array): string =>
  `"${Array.from(bytes, (byte) => character(byte, '"')).join('')}"`;

const escapes: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  27: '\\033',
  92: '\\\\',
};

function character(byte: number, quote: string): string {
  const known = escapes[byte];
  if (known !== undefined) return known;
  const text = String.fromCharCode(byte);
  if (text === quote) return `\\${text}`;
  return byte >= 0x20 && byte < 0x7f ? text : `\\${byte.toString(8).padStart(3, '0')}`;
}
