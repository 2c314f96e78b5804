import { type Btf, btfKind } from '../formats/btf.ts';

/** A member of a struct or union. */
export type CMember = {
  /** Empty when it is anonymous: its members then count as those of what it lies in. */
  readonly name: string;
  readonly type: CType;
  /** Bits from the start of the structure; a multiple of 8 unless it is a bit-field. */
  readonly bitOffset: number;
  /** Width of a bit-field; undefined of other members. */
  readonly bits: number | undefined;
};

/** Where a path of members leads, from the start of the outermost structure. */
export type CPlace = {
  /** Bytes; of a bit-field, the byte that its first bit lies in. */
  readonly offset: number;
  readonly type: CType;
  /** Of a bit-field: its first bit, counted from `offset`, and its width. */
  readonly bitField: { readonly shift: number; readonly bits: number } | undefined;
};

export type CKind =
  | 'void'
  | 'integer'
  | 'boolean'
  | 'float'
  | 'pointer'
  | 'array'
  | 'struct'
  | 'union'
  | 'enum'
  | 'typedef'
  | 'const'
  | 'volatile'
  | 'restrict'
  | 'function'
  | 'declared'
  | 'unknown';

/** Structures within structures, and links from type to type, before it must be a circle. */
const maxDepth = 32;

/**
 * A type as C knows it, typedefs and qualifiers included. Everything is looked up when it is asked for. Sizes are bytes.
 */
export class CType {
  readonly id: number;
  readonly #btf: Btf;
  #members: readonly CMember[] | undefined;
  readonly #places = new Map<string, CPlace | undefined>();

  constructor(btf: Btf, id: number) {
    this.#btf = btf;
    this.id = id;
  }

  get kind(): CKind {
    const kind = this.#btf.kind(this.id);
    if (kind === btfKind.int && (this.#encoding & 4) !== 0) return 'boolean';
    return kinds[kind] ?? 'unknown';
  }

  /** Empty for what has no name. */
  get name(): string {
    return this.#btf.name(this.id);
  }

  /** 0 when it has none, as what is only declared. */
  get size(): number {
    return this.#btf.sizeOf(this.id);
  }

  /** Whether an integer or an enum has negative values. */
  get signed(): boolean {
    const kind = this.#btf.kind(this.id);
    return kind === btfKind.int ? (this.#encoding & 1) !== 0 : this.#isEnum && this.#btf.flag(this.id);
  }

  /** The type behind typedefs and qualifiers. */
  get bare(): CType {
    const bare = this.#btf.strip(this.id);
    return bare === this.id ? this : new CType(this.#btf, bare);
  }

  /** What a pointer points to, an array holds, a typedef or qualifier stands for, a function returns. */
  get target(): CType | undefined {
    const kind = this.#btf.kind(this.id);
    if (kind === btfKind.array) return new CType(this.#btf, this.#btf.array(this.id)!.element);
    if (kind === btfKind.funcProto) return new CType(this.#btf, this.#btf.word(this.id, 2));
    if (kind === btfKind.pointer || kind === btfKind.func || this.bare !== this)
      return new CType(this.#btf, skipTags(this.#btf, this.#btf.target(this.id)));
    return undefined;
  }

  /** Number of elements of an array; 0 when it is open. */
  get length(): number {
    return this.#btf.array(this.id)?.length ?? 0;
  }

  /** Of a struct or union, in the order of their declaration; of other types none. */
  get members(): readonly CMember[] {
    this.#members ??= membersOf(this.#btf, this.#btf.strip(this.id));
    return this.#members;
  }

  /** Constants of an enum, in the order of their declaration. */
  get enumerators(): readonly { readonly name: string; readonly value: bigint }[] {
    const btf = this.#btf;
    const id = btf.strip(this.id);
    const kind = btf.kind(id);
    if (kind !== btfKind.enum && kind !== btfKind.enum64) return [];
    const stride = kind === btfKind.enum ? 2 : 3;
    return Array.from({ length: btf.elements(id) }, (_, i) => {
      const at = 3 + i * stride;
      const high = kind === btfKind.enum64 ? BigInt(btf.word(id, at + 2)) << 32n : 0n;
      const width = kind === btfKind.enum64 ? 64 : 32;
      const value = high | BigInt(btf.word(id, at + 1));
      return { name: btf.text(btf.word(id, at)), value: btf.flag(id) ? BigInt.asIntN(width, value) : value };
    });
  }

  /** Parameters of a function; a last one without a type stands for any number of others. */
  get parameters(): readonly { readonly name: string; readonly type: CType }[] {
    const btf = this.#btf;
    const id = btf.kind(this.id) === btfKind.func ? btf.target(this.id) : btf.strip(this.id);
    if (btf.kind(id) !== btfKind.funcProto) return [];
    return Array.from({ length: btf.elements(id) }, (_, i) => ({
      name: btf.text(btf.word(id, 3 + i * 2)),
      type: new CType(btf, btf.word(id, 4 + i * 2)),
    }));
  }

  /**
   * A member by its path: names with dots between them, an index in brackets behind those of arrays
   * ('thread.sp', 'mem[0].base'). Those of anonymous members are found.
   */
  place(path: string): CPlace | undefined {
    if (!this.#places.has(path)) this.#places.set(path, this.#walk(path));
    return this.#places.get(path);
  }

  #walk(path: string): CPlace | undefined {
    let place: CPlace = { offset: 0, type: this, bitField: undefined };
    for (const step of path.match(/[^.[\]]+/g) ?? []) {
      const type = place.type.bare;
      const next = type.kind === 'array' ? type.#element(step) : type.#named(step, 0);
      if (next === undefined) return undefined;
      place = { ...next, offset: place.offset + next.offset };
    }
    return place;
  }

  #element(index: string): CPlace | undefined {
    const type = this.target!;
    return /^\d+$/.test(index) ? { offset: Number(index) * type.size, type, bitField: undefined } : undefined;
  }

  #named(name: string, depth: number): CPlace | undefined {
    const own = this.members.find((member) => member.name === name);
    if (own !== undefined) {
      const offset = Math.floor(own.bitOffset / 8);
      const bitField =
        own.bits === undefined ? undefined : { shift: own.bitOffset - offset * 8, bits: own.bits };
      return { offset, type: own.type, bitField };
    }
    if (depth === maxDepth) return undefined;
    for (const member of this.members) {
      const inner = member.name === '' ? member.type.bare.#named(name, depth + 1) : undefined;
      if (inner !== undefined) return { ...inner, offset: inner.offset + member.bitOffset / 8 };
    }
    return undefined;
  }

  get #isEnum(): boolean {
    const kind = this.#btf.kind(this.id);
    return kind === btfKind.enum || kind === btfKind.enum64;
  }

  /** 1 signed, 2 character, 4 boolean. */
  get #encoding(): number {
    return (this.#btf.word(this.id, 3) >>> 24) & 15;
  }
}

function membersOf(btf: Btf, id: number): CMember[] {
  const kind = btf.kind(id);
  if (kind !== btfKind.struct && kind !== btfKind.union) return [];
  // With the flag, the top byte of an offset is the width of a bit-field.
  const flagged = btf.flag(id);
  return Array.from({ length: btf.elements(id) }, (_, i) => {
    const at = 3 + i * 3;
    const offset = btf.word(id, at + 2);
    const type = new CType(btf, skipTags(btf, btf.word(id, at + 1)));
    const bits = flagged ? offset >>> 24 || undefined : undefined;
    const old = bits === undefined && !flagged ? oldBitField(btf, type.id, offset) : undefined;
    return {
      name: btf.text(btf.word(id, at)),
      type,
      bitOffset: old?.bitOffset ?? (flagged ? offset & 0xff_ffff : offset),
      bits: bits ?? old?.bits,
    };
  });
}

/** Without the flag, the integer type of a bit-field tells its width, and where in it the bits begin. */
function oldBitField(
  btf: Btf,
  type: number,
  offset: number,
): { bitOffset: number; bits: number } | undefined {
  const id = btf.strip(type);
  if (btf.kind(id) !== btfKind.int) return undefined;
  const data = btf.word(id, 3);
  const bits = data & 0xff;
  return bits === btf.sizeOf(id) * 8 ? undefined : { bitOffset: offset + ((data >>> 16) & 0xff), bits };
}

/** Type tags say nothing about memory, and C has no word for them. */
function skipTags(btf: Btf, id: number): number {
  let at = id;
  for (let links = 0; links < maxDepth && btf.kind(at) === btfKind.typeTag; links++) at = btf.target(at);
  return at;
}

const kinds: Readonly<Record<number, CKind>> = {
  [btfKind.void]: 'void',
  [btfKind.int]: 'integer',
  [btfKind.pointer]: 'pointer',
  [btfKind.array]: 'array',
  [btfKind.struct]: 'struct',
  [btfKind.union]: 'union',
  [btfKind.enum]: 'enum',
  [btfKind.enum64]: 'enum',
  [btfKind.forward]: 'declared',
  [btfKind.typedef]: 'typedef',
  [btfKind.volatile]: 'volatile',
  [btfKind.const]: 'const',
  [btfKind.restrict]: 'restrict',
  [btfKind.func]: 'function',
  [btfKind.funcProto]: 'function',
  [btfKind.float]: 'float',
};

/** Kinds that a name is looked up among, in this order: C keeps tags and typedefs apart, a look-up by name does not. */
const preference: readonly CKind[] = ['struct', 'union', 'enum', 'typedef', 'integer', 'boolean', 'float'];

/** A type by its name: 'task_struct', 'struct task_struct', 'pid_t', 'unsigned long'. */
export function findType(btf: Btf, name: string): CType | undefined {
  const [, tag, plain] = /^(?:(struct|union|enum)\s+)?(.+)$/.exec(name.trim()) ?? [];
  if (plain === undefined) return undefined;
  const found = btf.named(plain).map((id) => new CType(btf, id));
  const wanted = tag === undefined ? preference : [tag];
  for (const kind of wanted) {
    const type = found.find((each) => each.kind === kind && each.bare.kind !== 'declared');
    if (type !== undefined) return type;
  }
  return undefined;
}

/** Type of a per-CPU variable, or of any other that the types describe. */
export function typeOfVariable(btf: Btf, symbol: string): CType | undefined {
  const id = btf.named(symbol).find((each) => btf.kind(each) === btfKind.variable);
  return id === undefined ? undefined : new CType(btf, skipTags(btf, btf.target(id)));
}
