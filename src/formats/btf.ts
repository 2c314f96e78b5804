import { KdumpError } from '../lib/errors.ts';
import { layout, readStruct } from '../lib/layout.ts';

/**
 * BTF, the type information that a kernel carries with it (include/uapi/linux/btf.h, Documentation/bpf/btf.rst): a
 * header, a sequence of type records, a table of names. Little endian. The blob of a kernel module goes on where that of
 * the kernel ends: its ids and the offsets of its names continue those of its base.
 */
const headerLayout = layout('struct btf_header', 24, {
  magic: [0, 'u16'],
  version: [2, 'u8'],
  flags: [3, 'u8'],
  headerBytes: [4, 'u32'],
  typeOffset: [8, 'u32'],
  typeBytes: [12, 'u32'],
  stringOffset: [16, 'u32'],
  stringBytes: [20, 'u32'],
});
/** What follows since 7.3: how long the records of each kind are, so that kinds of the future can be skipped. */
const layoutTableLayout = layout('struct btf_header', 32, {
  layoutOffset: [24, 'u32'],
  layoutBytes: [28, 'u32'],
});

export const btfMagic = 0xeb9f;
const headerBytes = 24;
const recordBytes = 12;

/** BTF_KIND_*. */
export const btfKind = {
  void: 0,
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  func: 12,
  funcProto: 13,
  variable: 14,
  dataSection: 15,
  float: 16,
  declTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

/** Bytes after a record of each kind: [fixed, for each of its vlen elements]. */
const trailing: readonly (readonly [fixed: number, each: number])[] = [
  [0, 0],
  [4, 0],
  [0, 0],
  [12, 0],
  [0, 12],
  [0, 12],
  [0, 8],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 8],
  [4, 0],
  [0, 12],
  [0, 0],
  [4, 0],
  [0, 0],
  [0, 12],
];

/** Most types of a blob; a kernel has 120 000. */
const maxTypes = 2 ** 24;
/** Links that are followed from one type to the next before it must be a circle. */
const maxLinks = 64;
/** Structures within structures. */
const maxDepth = 32;
/** Bytes of a pointer; BTF does not tell. */
const pointerBytes = 8;

export type BtfMember = {
  /** Bytes from the start of the structure; of a bit-field, the byte that its first bit lies in. */
  readonly offset: number;
  /** Id of its type. */
  readonly type: number;
};

/**
 * A BTF blob. Opening it takes one pass over the records, which notes where each begins; a lookup by name finds the
 * name in the string table and the record that uses it, so nothing is built for types that nobody asks for.
 * Ids are those of BTF: 0 is void, the first record is 1.
 */
export class Btf {
  /** Number of types, void and those of the base included. */
  readonly length: number;
  readonly #where: string;
  /** The whole blob as 32-bit words, from an address that allows it. */
  readonly #words: Uint32Array;
  readonly #strings: Buffer;
  readonly #base: Btf | undefined;
  /** The first id, and the first offset of a name, that are not the base's. */
  readonly #firstId: number;
  readonly #firstString: number;
  /** For each id from #firstId on: index of its record in #words, offset of its name, kind. */
  readonly #records: Uint32Array;
  readonly #names: Uint32Array;
  readonly #kinds: Uint8Array;
  readonly #found = new Map<string, readonly number[]>();

  /**
   * @param where names the blob in errors
   * @param base the kernel's, of a blob that is a module's
   * @throws KdumpError `bad-btf` for a blob that is none, ends early or holds a record of a kind that nobody knows
   */
  constructor(bytes: Uint8Array, where: string, base?: Btf) {
    this.#where = where;
    this.#base = base;
    // Without a base, id 0 is void and has no record.
    this.#firstId = base?.length ?? 0;
    this.#firstString = base?.stringEnd ?? 0;
    if (bytes.length < headerBytes) throw this.#bad(`${bytes.length} bytes cannot hold a header`);
    const header = readStruct(headerLayout, bytes, 0, where);
    if (header.magic === swap16(btfMagic)) throw this.#bad('it is big-endian, which is not supported');
    if (header.magic !== btfMagic)
      throw this.#bad(`magic is 0x${header.magic.toString(16)}, not 0x${btfMagic.toString(16)}`);
    if (header.version !== 1) throw this.#bad(`version ${header.version} is unknown`);
    const body = header.headerBytes;
    const typeEnd = body + header.typeOffset + header.typeBytes;
    const stringEnd = body + header.stringOffset + header.stringBytes;
    if (body < headerBytes || body % 4 !== 0 || header.typeOffset % 4 !== 0 || header.typeBytes % 4 !== 0)
      throw this.#bad(`header of ${body} bytes puts the types at ${header.typeOffset}`);
    if (typeEnd > bytes.length || stringEnd > bytes.length)
      throw this.#bad(`types end at ${typeEnd}, names at ${stringEnd}, the blob at ${bytes.length}`);

    const wordBytes = typeEnd - (typeEnd % 4);
    this.#words = wordsOf(bytes.subarray(0, wordBytes));
    this.#strings = Buffer.from(
      bytes.buffer,
      bytes.byteOffset + body + header.stringOffset,
      header.stringBytes,
    );
    const extra = this.#extraKinds(bytes, body);
    const first = (body + header.typeOffset) / 4;
    const last = first + header.typeBytes / 4;
    const most = Math.min(maxTypes, Math.floor(header.typeBytes / recordBytes) + 1);
    const records = new Uint32Array(most);
    const names = new Uint32Array(most);
    const kinds = new Uint8Array(most);
    // Index of the next record; that of void is empty.
    let id = base === undefined ? 1 : 0;
    for (let at = first; at < last; id++) {
      if (id >= most || at + 3 > last)
        throw this.#bad(`type ${id} at offset ${at * 4} reaches beyond the end`);
      const info = this.#words[at + 1]!;
      const kind = kindOf(info);
      const shape = trailing[kind] ?? extra[kind];
      if (shape === undefined || kind === 0)
        throw this.#bad(`type ${id} at offset ${at * 4} is of kind ${kind}, which is unknown`);
      records[id] = at;
      names[id] = this.#words[at]!;
      kinds[id] = kind;
      at += 3 + (shape[0] + shape[1] * elementsOf(info)) / 4;
      if (at > last) throw this.#bad(`type ${id} at offset ${records[id]! * 4} reaches beyond the end`);
    }
    this.length = this.#firstId + id;
    this.#records = records.subarray(0, id);
    this.#names = names.subarray(0, id);
    this.#kinds = kinds.subarray(0, id);
  }

  /** BTF_KIND_* of a type; void for an id that does not exist. */
  kind(id: number): number {
    return this.#inBase(id)?.kind(id) ?? this.#kinds[id - this.#firstId] ?? 0;
  }

  /** Name of a type; empty when it has none. */
  name(id: number): string {
    return this.#inBase(id)?.name(id) ?? this.text(this.#names[id - this.#firstId] ?? 0);
  }

  /** Whether the kflag of a record is set: of a forward declaration it means a union. */
  flag(id: number): boolean {
    return this.word(id, 1) >>> 31 !== 0;
  }

  /** Word `index` of the record of a type, its trailing words included; 0 for a type that does not exist. */
  word(id: number, index: number): number {
    const base = this.#inBase(id);
    if (base !== undefined) return base.word(id, index);
    return id > 0 && id < this.length ? this.#word(id, index) : 0;
  }

  /** Number of members, enumerators, parameters or variables of a type. */
  elements(id: number): number {
    return elementsOf(this.word(id, 1));
  }

  /** The name at an offset of the string table; empty when there is none. */
  text(offset: number): string {
    if (offset < this.#firstString) return this.#base?.text(offset) ?? '';
    const start = offset - this.#firstString;
    if (start >= this.#strings.length) return '';
    const end = this.#strings.indexOf(0, start);
    return this.#strings.toString('latin1', start, end < 0 ? this.#strings.length : end);
  }

  /** Where the offsets of names end; those of a module's blob go on from there. */
  get stringEnd(): number {
    return this.#firstString + this.#strings.length;
  }

  /** Ids of all types with that name, in ascending order, of whatever kind. */
  named(name: string): readonly number[] {
    let ids = this.#found.get(name);
    if (ids === undefined) {
      ids = this.#search(name);
      this.#found.set(name, ids);
    }
    return ids;
  }

  /** The type behind typedefs, qualifiers and tags; void when they go in a circle. */
  strip(id: number): number {
    let at = id;
    for (let links = 0; links < maxLinks; links++) {
      if (!transparent.has(this.kind(at))) return at < this.length ? at : 0;
      at = this.word(at, 2);
    }
    return 0;
  }

  /** What a pointer, a typedef, a qualifier, a variable or a function refers to; void for others. */
  target(id: number): number {
    const kind = this.kind(id);
    const refers = kind === btfKind.pointer || kind === btfKind.variable || kind === btfKind.func;
    return refers || transparent.has(kind) ? this.word(id, 2) : 0;
  }

  /** Element type and number of elements of an array. */
  array(id: number): { readonly element: number; readonly length: number } | undefined {
    if (this.kind(id) !== btfKind.array) return undefined;
    return { element: this.word(id, 3), length: this.word(id, 5) };
  }

  /** Bytes; 0 for what has no size or holds itself. */
  sizeOf(id: number): number {
    let at = this.strip(id);
    let times = 1;
    for (let depth = 0; depth < maxDepth; depth++) {
      const kind = this.kind(at);
      if (kind === btfKind.pointer) return times * pointerBytes;
      if (sized.has(kind)) return times * this.word(at, 2);
      const array = this.array(at);
      if (array === undefined) return 0;
      times *= array.length;
      at = this.strip(array.element);
    }
    return 0;
  }

  /** A member of a struct or union by its name; those of anonymous members count as its own. */
  member(id: number, name: string): BtfMember | undefined {
    const wanted = this.#stringOffsets(name);
    return wanted.length === 0 ? undefined : this.#member(this.strip(id), wanted, new Set(), 0);
  }

  /** Value of an enumeration constant, of the first enum that has it. */
  enumerator(name: string): bigint | undefined {
    const ofBase = this.#base?.enumerator(name);
    if (ofBase !== undefined) return ofBase;
    const wanted = this.#stringOffsets(name);
    if (wanted.length === 0) return undefined;
    const words = this.#words;
    for (let i = 0; i < this.#kinds.length; i++) {
      const kind = this.#kinds[i]!;
      if (kind !== btfKind.enum && kind !== btfKind.enum64) continue;
      const id = this.#firstId + i;
      const stride = kind === btfKind.enum ? 2 : 3;
      const start = this.#records[i]! + 3;
      const end = start + elementsOf(this.#word(id, 1)) * stride;
      for (let at = start; at < end; at += stride) {
        if (!wanted.includes(words[at]!)) continue;
        const low = words[at + 1]!;
        // Of an enum the flag says signed; pahole before 1.24 sets it for none, and negative values are rare.
        if (kind === btfKind.enum) return BigInt(this.flag(id) ? low | 0 : low);
        const value = (BigInt(words[at + 2]!) << 32n) | BigInt(low);
        return this.flag(id) ? BigInt.asIntN(64, value) : value;
      }
    }
    return undefined;
  }

  #member(
    id: number,
    wanted: readonly number[],
    searched: Set<number>,
    depth: number,
  ): BtfMember | undefined {
    const kind = this.kind(id);
    if ((kind !== btfKind.struct && kind !== btfKind.union) || depth > maxDepth || searched.has(id))
      return undefined;
    const base = this.#inBase(id);
    if (base !== undefined) return base.#member(id, wanted, searched, depth);
    searched.add(id);
    const words = this.#words;
    const start = this.#records[id - this.#firstId]! + 3;
    const end = start + elementsOf(this.#word(id, 1)) * 3;
    // With the flag an offset has a bit-field's width in its top byte.
    const bits = this.flag(id) ? 0x00ff_ffff : 0xffff_ffff;
    const offsetAt = (at: number): number => ((words[at + 2]! & bits) >>> 0) >>> 3;
    for (let at = start; at < end; at += 3) {
      if (wanted.includes(words[at]!)) return { offset: offsetAt(at), type: words[at + 1]! };
    }
    for (let at = start; at < end; at += 3) {
      if (words[at] !== 0) continue;
      const inner = this.#member(this.strip(words[at + 1]!), wanted, searched, depth + 1);
      if (inner !== undefined) return { offset: offsetAt(at) + inner.offset, type: inner.type };
    }
    return undefined;
  }

  #search(name: string): number[] {
    const ids: number[] = [];
    for (const offset of this.#stringOffsets(name)) {
      for (let at = this.#names.indexOf(offset); at >= 0; at = this.#names.indexOf(offset, at + 1))
        ids.push(this.#firstId + at);
    }
    return [...(this.#base?.named(name) ?? []), ...ids.sort((a, b) => a - b)];
  }

  /** Where a name stands in the string table. Tools write every name once, but nothing asks them to. */
  #stringOffsets(name: string): number[] {
    if (name === '' || name.includes('\0')) return [];
    const needle = Buffer.from(`\0${name}\0`, 'latin1');
    const offsets = this.#base === undefined ? [] : this.#base.#stringOffsets(name);
    // The names of a module's blob need not begin with the empty one.
    if (this.#strings.subarray(0, needle.length - 1).equals(needle.subarray(1)))
      offsets.push(this.#firstString);
    for (let at = this.#strings.indexOf(needle); at >= 0; at = this.#strings.indexOf(needle, at + 1)) {
      offsets.push(this.#firstString + at + 1);
      if (offsets.length === maxSameNames) break;
    }
    return offsets;
  }

  /** The base, when the type is one of its. */
  #inBase(id: number): Btf | undefined {
    return id < this.#firstId ? this.#base : undefined;
  }

  /** Word `index` of the record of a type of this blob. */
  #word(id: number, index: number): number {
    return this.#words[this.#records[id - this.#firstId]! + index] ?? 0;
  }

  #extraKinds(bytes: Uint8Array, body: number): Record<number, readonly [number, number]> {
    const kinds: Record<number, readonly [number, number]> = {};
    if (body < layoutTableLayout.size || bytes.length < layoutTableLayout.size) return kinds;
    const { layoutOffset, layoutBytes } = readStruct(layoutTableLayout, bytes);
    const start = body + layoutOffset;
    if (start + layoutBytes > bytes.length) throw this.#bad(`its layouts end at ${start + layoutBytes}`);
    // struct btf_layout: u8 info_sz, u8 elem_sz, u16 flags, for each kind from 0 on.
    for (let kind = 0; kind < Math.min(128, Math.floor(layoutBytes / 4)); kind++) {
      const fixed = bytes[start + kind * 4]!;
      const each = bytes[start + kind * 4 + 1]!;
      if (fixed % 4 === 0 && each % 4 === 0) kinds[kind] = [fixed, each];
    }
    return kinds;
  }

  #bad(what: string): KdumpError {
    return new KdumpError('bad-btf', `${this.#where}: not readable as BTF: ${what}`);
  }
}

const maxSameNames = 16;

const transparent: ReadonlySet<number> = new Set([
  btfKind.typedef,
  btfKind.volatile,
  btfKind.const,
  btfKind.restrict,
  btfKind.typeTag,
]);

/** Kinds whose third word is their size. */
const sized: ReadonlySet<number> = new Set([
  btfKind.int,
  btfKind.struct,
  btfKind.union,
  btfKind.enum,
  btfKind.enum64,
  btfKind.float,
  btfKind.dataSection,
]);

// The masks of 7.3; older kernels leave the bits that it added clear.
const kindOf = (info: number): number => (info >>> 24) & 0x7f;
const elementsOf = (info: number): number => info & 0x00ff_ffff;
const swap16 = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);

/** The bytes as words; copied when their address does not allow it. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}
