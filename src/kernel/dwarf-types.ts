import { DW_TAG } from '../formats/dwarf/constants.ts';
import { type Dwarf, type DwarfEntry, isTransparent } from '../formats/dwarf.ts';
import type { KernelTypes, TypeMember, TypeRef } from './types.ts';

/** Links that are followed from one type to the next, and arrays of arrays, before it must be a circle. */
const maxLinks = 64;
const nothing: TypeRef = { kind: 'void', name: '', size: 0 };
/** Bytes of a pointer where debug information leaves it out: only 64-bit kernels are read. */
const pointerSize = 8;

/** A structure whose members can be asked for although it may have no name. */
export type StructRef = TypeRef & { member(path: string): TypeMember | undefined };

export const isStructRef = (type: TypeRef): type is StructRef => 'member' in type;

/** The types of a kernel as its debug information tells them. */
export class DwarfTypes implements KernelTypes {
  readonly #dwarf: Dwarf;

  constructor(dwarf: Dwarf) {
    this.#dwarf = dwarf;
  }

  find(name: string): TypeRef | undefined {
    const offset = this.#dwarf.type(name);
    return offset === undefined ? undefined : this.#ref(offset);
  }

  member(struct: string, path: string): TypeMember | undefined {
    const offset = this.#dwarf.type(struct);
    return offset === undefined ? undefined : this.#path(offset, path);
  }

  enumerator(name: string): bigint | undefined {
    return this.#dwarf.enumerator(name);
  }

  variable(symbol: string): TypeRef | undefined {
    const entry = this.#dwarf.variable(symbol);
    return entry === undefined ? undefined : this.#ref(entry.type);
  }

  /** Source file in which a typedef is declared. */
  typedefFile(name: string): string | undefined {
    const offset = this.#dwarf.typedef(name);
    return offset === undefined ? undefined : this.#dwarf.declarationFile(offset);
  }

  /** Members of members: 'thread.sp'. Each step but the last must be a structure itself, not a pointer to one. */
  #path(offset: number, path: string): TypeMember | undefined {
    let base = 0;
    let at: number | undefined = offset;
    for (const name of path.split('.')) {
      const found: { offset: number; type: number | undefined } | undefined =
        at === undefined ? undefined : this.#find(at, name, new Set());
      if (found === undefined) return undefined;
      base += found.offset;
      at = found.type;
    }
    return { offset: base, type: this.#ref(at) };
  }

  /** @param seen structures that were looked into: damaged debug information can nest one in itself */
  #find(
    offset: number,
    name: string,
    seen: Set<number>,
  ): { offset: number; type: number | undefined } | undefined {
    const struct = this.#defined(this.#strip(offset));
    if (struct === undefined || seen.has(struct.offset)) return undefined;
    if (struct.tag !== DW_TAG.structure_type && struct.tag !== DW_TAG.union_type) return undefined;
    seen.add(struct.offset);
    for (const member of this.#dwarf.children(struct.offset)) {
      if (member.tag !== DW_TAG.member) continue;
      if (member.name === name) return { offset: member.memberOffset, type: member.type };
      if (member.name !== '' || member.type === undefined) continue;
      const inside = this.#find(member.type, name, seen);
      if (inside) return { offset: member.memberOffset + inside.offset, type: inside.type };
    }
    return undefined;
  }

  /** Looks through typedefs and qualifiers. */
  #strip(offset: number | undefined): DwarfEntry | undefined {
    let at = offset;
    for (let links = 0; at !== undefined && links < maxLinks; links++) {
      const entry = this.#dwarf.entry(at);
      if (!isTransparent(entry.tag)) return entry;
      at = entry.type;
    }
    return undefined;
  }

  /** A structure that a unit only declares is defined in another one. */
  #defined(entry: DwarfEntry | undefined): DwarfEntry | undefined {
    if (!entry?.isDeclaration || entry.name === '') return entry;
    const offset = this.#dwarf.tagged(entry.name);
    return offset === undefined ? entry : this.#dwarf.entry(offset);
  }

  #ref(offset: number | undefined, depth = 0): TypeRef {
    const entry = this.#defined(this.#strip(offset));
    if (entry === undefined || depth > maxLinks) return nothing;
    const { name } = entry;
    const size = entry.byteSize ?? 0;
    switch (entry.tag) {
      case DW_TAG.structure_type:
      case DW_TAG.union_type:
        return {
          kind: entry.tag === DW_TAG.structure_type ? 'struct' : 'union',
          name,
          size,
          member: (path: string) => this.#path(entry.offset, path),
        } as StructRef;
      case DW_TAG.enumeration_type:
        return { kind: 'enum', name, size };
      case DW_TAG.base_type:
        return { kind: 'integer', name, size };
      case DW_TAG.pointer_type:
        return {
          kind: 'pointer',
          name: '',
          size: size === 0 ? pointerSize : size,
          target: () => this.#ref(entry.type),
        };
      case DW_TAG.subroutine_type:
        return { kind: 'function', name: '', size: 0 };
      case DW_TAG.array_type:
        return this.#array(entry, depth);
      default:
        return { kind: 'unknown', name, size };
    }
  }

  /** An array of several dimensions is an array of arrays, the first dimension outermost. */
  #array(entry: DwarfEntry, depth: number): TypeRef {
    const lengths = this.#dwarf
      .children(entry.offset)
      .filter((child) => child.tag === DW_TAG.subrange_type)
      .map((child) => child.length ?? 0);
    const element = this.#ref(entry.type, depth + 1);
    return (lengths.length === 0 ? [0] : lengths).reduceRight<TypeRef>(
      (target, length) => ({
        kind: 'array',
        name: '',
        size: length * target.size,
        length,
        target: () => target,
      }),
      element,
    );
  }
}
