import { Btf, btfKind } from '../formats/btf.ts';
import type { KernelTypes, TypeMember, TypeRef } from './types.ts';

/**
 * The types of a BTF blob.
 * @param where names the blob in errors
 * @throws KdumpError `bad-btf`
 */
export function typesOfBtf(bytes: Uint8Array, where: string): BtfTypes {
  return new BtfTypes(new Btf(bytes, where));
}

/** In this order when different things share a name: C keeps tags and typedefs apart, a lookup by name does not. */
const preference = [
  btfKind.struct,
  btfKind.union,
  btfKind.enum,
  btfKind.enum64,
  btfKind.typedef,
  btfKind.int,
  btfKind.float,
] as const;

export class BtfTypes implements KernelTypes {
  readonly btf: Btf;

  constructor(btf: Btf) {
    this.btf = btf;
  }

  find(name: string): TypeRef | undefined {
    const id = this.#candidates(name).find((each) => this.btf.kind(this.btf.strip(each)) !== btfKind.forward);
    return id === undefined ? undefined : this.#ref(id);
  }

  /** Of several structures with one name the first that has the member answers, unless another puts it elsewhere. */
  member(struct: string, path: string): TypeMember | undefined {
    let found: { offset: number; type: number } | undefined;
    for (const id of this.#candidates(struct)) {
      const member = this.#path(id, path);
      if (member === undefined) continue;
      if (found !== undefined && found.offset !== member.offset) return undefined;
      found ??= member;
    }
    return found && { offset: found.offset, type: this.#ref(found.type) };
  }

  enumerator(name: string): bigint | undefined {
    return this.btf.enumerator(name);
  }

  variable(symbol: string): TypeRef | undefined {
    const id = this.btf.named(symbol).find((candidate) => this.btf.kind(candidate) === btfKind.variable);
    return id === undefined ? undefined : this.#ref(this.btf.target(id));
  }

  #candidates(name: string): number[] {
    const ids = this.btf.named(name);
    for (const kind of preference) {
      const ofKind = ids.filter((id) => this.btf.kind(id) === kind);
      if (ofKind.length > 0) return ofKind;
    }
    return [];
  }

  #path(id: number, path: string): { offset: number; type: number } | undefined {
    let offset = 0;
    let type = id;
    for (const name of path.split('.')) {
      const member = this.btf.member(type, name);
      if (member === undefined) return undefined;
      offset += member.offset;
      type = member.type;
    }
    return { offset, type };
  }

  #ref(id: number): TypeRef {
    const btf = this.btf;
    const type = btf.strip(id);
    const kind = kindNames[btf.kind(type)] ?? 'unknown';
    const base = { kind, name: hasName.has(kind) ? btf.name(type) : '', size: btf.sizeOf(type) };
    const array = btf.array(type);
    if (array !== undefined) return { ...base, length: array.length, target: () => this.#ref(array.element) };
    if (kind === 'pointer') return { ...base, target: () => this.#ref(btf.target(type)) };
    // A declaration without a body: its size is not known.
    if (btf.kind(type) === btfKind.forward && btf.flag(type)) return { ...base, kind: 'union' };
    return base;
  }
}

const kindNames: Readonly<Record<number, TypeRef['kind']>> = {
  [btfKind.void]: 'void',
  [btfKind.int]: 'integer',
  [btfKind.pointer]: 'pointer',
  [btfKind.array]: 'array',
  [btfKind.struct]: 'struct',
  [btfKind.union]: 'union',
  [btfKind.enum]: 'enum',
  [btfKind.enum64]: 'enum',
  [btfKind.forward]: 'struct',
  [btfKind.func]: 'function',
  [btfKind.funcProto]: 'function',
};

const hasName: ReadonlySet<TypeRef['kind']> = new Set(['struct', 'union', 'enum', 'integer', 'unknown']);
