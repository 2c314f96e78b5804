import { btfKind } from '../../src/formats/btf.ts';

/** [name, type, offset in bits] and, of a bit-field, its width. */
export type MemberSpec = readonly [name: string, type: number, bits: number, width?: number];

/** Writes BTF: every method adds a type and gives its id. */
export class BtfBuilder {
  readonly #records: number[] = [];
  readonly #strings = new Map<string, number>([['', 0]]);
  #stringBytes = 1;
  #ids = 0;

  int(name: string, size: number): number {
    return this.raw(btfKind.int, name, 0, size, [size * 8]);
  }

  float(name: string, size: number): number {
    return this.raw(btfKind.float, name, 0, size);
  }

  pointer(target: number): number {
    return this.raw(btfKind.pointer, '', 0, target);
  }

  array(element: number, length: number, index = 0): number {
    return this.raw(btfKind.array, '', 0, 0, [element, index, length]);
  }

  struct(name: string, size: number, members: readonly MemberSpec[], kind: number = btfKind.struct): number {
    const bitFields = members.some(([, , , width]) => width !== undefined);
    const words = members.flatMap(([member, type, bits, width]) => [
      this.string(member),
      type,
      (((width ?? 0) << 24) | bits) >>> 0,
    ]);
    return this.raw(kind, name, members.length, size, words, bitFields);
  }

  union(name: string, size: number, members: readonly MemberSpec[]): number {
    return this.struct(name, size, members, btfKind.union);
  }

  enum(name: string, values: Readonly<Record<string, number>>, signed = false): number {
    const words = Object.entries(values).flatMap(([constant, value]) => [this.string(constant), value >>> 0]);
    return this.raw(btfKind.enum, name, words.length / 2, 4, words, signed);
  }

  enum64(name: string, values: Readonly<Record<string, bigint>>, signed = false): number {
    const words = Object.entries(values).flatMap(([constant, value]) => [
      this.string(constant),
      Number(BigInt.asUintN(32, value)),
      Number(BigInt.asUintN(32, value >> 32n)),
    ]);
    return this.raw(btfKind.enum64, name, words.length / 3, 8, words, signed);
  }

  forward(name: string, union = false): number {
    return this.raw(btfKind.forward, name, 0, 0, [], union);
  }

  /** typedef, const, volatile, restrict or type tag. */
  link(kind: number, name: string, target: number): number {
    return this.raw(kind, name, 0, target);
  }

  variable(name: string, type: number): number {
    return this.raw(btfKind.variable, name, 0, type, [1]);
  }

  dataSection(
    name: string,
    variables: readonly (readonly [id: number, offset: number, size: number])[],
  ): number {
    return this.raw(btfKind.dataSection, name, variables.length, 0, variables.flat());
  }

  functionType(result: number, parameters: readonly (readonly [name: string, type: number])[]): number {
    const words = parameters.flatMap(([name, type]) => [this.string(name), type]);
    return this.raw(btfKind.funcProto, '', parameters.length, result, words);
  }

  /** Any record: its three words, then others. */
  raw(
    kind: number,
    name: string,
    elements: number,
    third: number,
    words: readonly number[] = [],
    flag = false,
  ): number {
    this.#records.push(
      this.string(name),
      ((flag ? 0x8000_0000 : 0) | (kind << 24) | elements) >>> 0,
      third,
      ...words,
    );
    return ++this.#ids;
  }

  string(text: string): number {
    let offset = this.#strings.get(text);
    if (offset === undefined) {
      offset = this.#stringBytes;
      this.#strings.set(text, offset);
      this.#stringBytes += text.length + 1;
    }
    return offset;
  }

  /** @param layouts [bytes after a record, bytes of each element] for each kind from 0 on: makes the header that of 7.3 */
  bytes(layouts?: readonly (readonly [number, number])[]): Buffer {
    const header = Buffer.alloc(layouts === undefined ? 24 : 32);
    const types = Buffer.from(Uint32Array.from(this.#records).buffer);
    const strings = Buffer.from(`${[...this.#strings.keys()].join('\0')}\0`, 'latin1');
    header.writeUInt16LE(0xeb9f, 0);
    header.writeUInt8(1, 2);
    header.writeUInt32LE(header.length, 4);
    header.writeUInt32LE(types.length, 12);
    header.writeUInt32LE(types.length, 16);
    header.writeUInt32LE(strings.length, 20);
    const table = Buffer.from((layouts ?? []).flatMap(([fixed, each]) => [fixed, each, 0, 0]));
    if (layouts !== undefined) {
      header.writeUInt32LE(types.length + strings.length, 24);
      header.writeUInt32LE(table.length, 28);
    }
    return Buffer.concat([header, types, strings, table]);
  }
}
