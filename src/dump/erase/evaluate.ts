import { isMissing, u64At } from '../../kernel/memory.ts';
import type { TypeRef } from '../../kernel/types.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { EraseSize, Expression, ForLoop } from './config.ts';
import { type EraseKernel, Members, variableType } from './kernel.ts';

/** Something in the kernel's memory: a variable, a member, an element. */
export type Located = {
  /** Virtual address of the thing itself; of a pointer, not of what it points to. */
  readonly address: bigint;
  readonly type: TypeRef;
};

/** What a command refers to and how many bytes that is. */
export type Extent = { readonly address: bigint; readonly bytes: number };

/** A structure with a name, and the members that lead from it to one without. */
type Owner = { readonly struct: Located; readonly path: string[] };

/** Says why a command has no effect, or less than one would expect; the others go on. */
export class Unresolved extends Error {}

/** Most elements of a list or an array that are visited. */
export const maxElements = 2 ** 20;
/** Most bytes that are looked through for the end of a string, as makedumpfile.conf(5) says. */
const maxString = 1024;
/** Most bytes that one command erases at one place: a size comes from memory of a kernel that crashed. */
export const maxErase = 2 ** 32;
/** Pointers to pointers that are followed to get to a member. */
const maxPointers = 4;
const pointerSize = 8;

/** Looks up expressions in a kernel's memory. */
export class Evaluator {
  readonly #kernel: EraseKernel;
  readonly #members: Members;
  readonly #path: string;
  readonly #variables = new Map<string, TypeRef | undefined>();

  /** @param path of the file with the commands, for errors */
  constructor(kernel: EraseKernel, path: string) {
    this.#kernel = kernel;
    this.#members = new Members(kernel.types);
    this.#path = path;
  }

  /**
   * What an expression refers to; undefined when a pointer on the way is NULL.
   * @param element value of the loop's variable
   * @throws Unresolved, KdumpError `unknown-type`
   */
  locate(expression: Expression, element: Located | undefined): Located | undefined {
    let found: Located | undefined =
      expression.isLoopVariable && element !== undefined ? element : this.#symbol(expression);
    let owner: Owner | undefined;
    for (const name of expression.members) {
      const struct: Located | undefined = found && this.#pointed(found);
      if (struct === undefined) return undefined;
      if (struct.type !== found?.type || struct.type.name !== '') {
        owner = struct.type.name === '' ? undefined : { struct, path: [] };
      }
      const next: Located | undefined = this.#member(struct, name, owner);
      if (next === undefined) {
        const kind =
          struct.type.name === '' ? `the ${struct.type.kind}` : `${struct.type.kind} ${struct.type.name}`;
        throw new Unresolved(`${expression.text}: ${kind} has no member '${name}'`);
      }
      owner?.path.push(name);
      found = next;
    }
    return found;
  }

  /**
   * The bytes that a command erases; undefined when there are none.
   * @throws Unresolved when it cannot be told
   */
  extent(
    expression: Expression,
    size: EraseSize | undefined,
    element: Located | undefined,
  ): Extent | undefined {
    const found = this.locate(expression, element);
    if (found === undefined) return undefined;
    const given = size === undefined ? undefined : this.#sizeOf(size, element);
    if (found.type.kind !== 'pointer') return extentOf(found.address, given ?? found.type.size);
    const address = this.#pointer(found.address);
    if (address === 0n) return undefined;
    if (given !== undefined) return extentOf(address, given);
    const target = this.#members.target(found.type);
    if (target === undefined || target.kind === 'void' || target.kind === 'function') {
      throw new Unresolved(
        `${expression.text} points to ${target?.kind === 'function' ? 'a function' : 'void'}: say size or nullify`,
      );
    }
    const isText = target.kind === 'integer' && target.name === 'char';
    return extentOf(address, isText ? this.#stringLength(address) : target.size);
  }

  /** The bytes of a pointer, or of an array of them. */
  pointerExtent(expression: Expression, element: Located | undefined): Extent | undefined {
    const found = this.locate(expression, element);
    if (found === undefined) return undefined;
    let { type } = found;
    while (type.kind === 'array') type = this.#members.target(type) ?? { kind: 'void', name: '', size: 0 };
    if (type.kind !== 'pointer')
      throw new Unresolved(`${expression.text} is no pointer: it cannot be nullified`);
    return extentOf(found.address, found.type.size);
  }

  /**
   * The elements that a loop visits. Lists end where they come back to their start, or to any element seen before.
   * @param tell takes remarks that do not end the loop
   */
  *elements(loop: ForLoop, tell: (remark: string) => void): Generator<Located> {
    const head = this.#listHead(loop.over);
    if (head !== undefined) {
      if (loop.within === undefined)
        throw new Unresolved(`${loop.over.text} is a list_head: say within STRUCT:MEMBER`);
      yield* this.#chained(head, loop.within);
      return;
    }
    const over = this.locate(loop.over, undefined);
    if (over === undefined) return;
    if (loop.within !== undefined) tell(`${loop.over.text} is no list_head: within is ignored`);
    if (over.type.kind === 'array') {
      if (loop.via !== undefined) tell(`${loop.over.text} is an array: via is ignored`);
      yield* this.#array(over);
      return;
    }
    const first = this.#pointed(over);
    if (first === undefined) return;
    if (first.type.kind !== 'struct' && first.type.kind !== 'union')
      throw new Unresolved(`${loop.over.text} is neither an array nor a structure nor a list_head`);
    yield* this.#linked(first, loop.via ?? 'next', loop.over.text);
  }

  /** The list_head that a loop starts from, and the way it goes: HEAD, HEAD.next or HEAD.prev. */
  #listHead(over: Expression): { readonly address: bigint; readonly link: string } | undefined {
    const last = over.members.at(-1);
    if (last === 'next' || last === 'prev') {
      const parent = this.locate({ ...over, members: over.members.slice(0, -1) }, undefined);
      const head = parent && this.#pointed(parent);
      if (head?.type.name === 'list_head') return { address: head.address, link: last };
    }
    const found = this.locate(over, undefined);
    const head = found && found.type.kind !== 'array' ? this.#pointed(found) : undefined;
    return head?.type.name === 'list_head' ? { address: head.address, link: 'next' } : undefined;
  }

  *#chained(
    head: { readonly address: bigint; readonly link: string },
    within: { readonly struct: string; readonly member: string },
  ): Generator<Located> {
    const { types } = this.#kernel;
    const type = types.find(within.struct);
    const link = types.member('list_head', head.link);
    const member = types.member(within.struct, within.member);
    if (type === undefined) throw new Unresolved(`there is no struct ${within.struct}`);
    if (link === undefined || member?.type.name !== 'list_head')
      throw new Unresolved(`'${within.member}' is no list_head in struct ${within.struct}`);
    const seen = new Set<bigint>();
    const step = BigInt(link.offset);
    for (let node = this.#pointer(head.address + step); node !== head.address && node !== 0n; ) {
      if (seen.has(node) || seen.size >= maxElements)
        throw new Unresolved(`the list does not come back to its head: left after ${seen.size} elements`);
      seen.add(node);
      yield { address: node - BigInt(member.offset), type };
      node = this.#pointer(node + step);
    }
  }

  *#linked(first: Located, via: string, text: string): Generator<Located> {
    const { type } = first;
    const member = this.#members.find(type, via);
    if (member === undefined)
      throw new Unresolved(`${text}: ${type.kind} ${type.name} has no member '${via}'`);
    const target = member.type.kind === 'pointer' ? this.#members.target(member.type) : undefined;
    if (target === undefined || target.kind !== type.kind || target.name !== type.name)
      throw new Unresolved(`'${via}' of ${type.kind} ${type.name} does not point to one of its kind`);
    const seen = new Set<bigint>();
    let { address } = first;
    while (address !== 0n && address !== (seen.size === 0 ? 0n : first.address)) {
      if (seen.has(address) || seen.size >= maxElements)
        throw new Unresolved(`the list does not come back to its start: left after ${seen.size} elements`);
      seen.add(address);
      yield { address, type };
      address = this.#pointer(address + BigInt(member.offset));
    }
  }

  *#array(over: Located): Generator<Located> {
    const type = this.#members.target(over.type);
    const length = over.type.length ?? 0;
    if (type === undefined || type.size === 0) return;
    for (let i = 0; i < Math.min(length, maxElements); i++)
      yield { address: over.address + BigInt(i * type.size), type };
    if (length > maxElements)
      throw new Unresolved(`an array of ${length}: left after ${maxElements} elements`);
  }

  #symbol(expression: Expression): Located {
    const { root } = expression;
    const address = this.#kernel.symbols.address(root);
    if (address === undefined) throw new Unresolved(`there is no symbol '${root}'`);
    if (!this.#variables.has(root)) this.#variables.set(root, variableType(this.#kernel.types, root));
    const type = this.#variables.get(root);
    if (type === undefined) {
      throw new KdumpError(
        'unknown-type',
        `${this.#path}:${expression.line}:${expression.column}: the type of '${root}' is not known`,
        {
          fix: 'Only debug information has the types of variables: give the vmlinux of the debug package with -x.',
          facts: { symbol: root, line: expression.line, column: expression.column },
        },
      );
    }
    return { address, type };
  }

  /** A structure without a name is reached from the named one around it, when its type does not know its members. */
  #member(struct: Located, name: string, owner: Owner | undefined): Located | undefined {
    const own = this.#members.find(struct.type, name);
    if (own !== undefined) return { address: struct.address + BigInt(own.offset), type: own.type };
    if (owner === undefined || owner.path.length === 0) return undefined;
    const path = [...owner.path, name].join('.');
    const member = this.#members.findPath(owner.struct.type.name, path);
    return member && { address: owner.struct.address + BigInt(member.offset), type: member.type };
  }

  /** What is meant by a thing that has members: itself, what it points to, the first element of an array. */
  #pointed(found: Located): Located | undefined {
    let { address, type } = found;
    for (let i = 0; i < maxPointers && (type.kind === 'pointer' || type.kind === 'array'); i++) {
      const target = this.#members.target(type);
      if (target === undefined) break;
      if (type.kind === 'pointer') address = this.#pointer(address);
      if (address === 0n) return undefined;
      type = target;
    }
    return { address, type };
  }

  #pointer(address: bigint): bigint {
    return u64At(this.#read(address, pointerSize), 0);
  }

  #read(address: bigint, length: number): Uint8Array {
    const bytes = this.#kernel.memory.read(BigInt.asUintN(64, address), length);
    if (isMissing(bytes))
      throw new Unresolved(`memory at 0x${BigInt.asUintN(64, address).toString(16)} is ${bytes.missing}`);
    return bytes;
  }

  #sizeOf(size: EraseSize, element: Located | undefined): number {
    if (size.kind === 'bytes') return size.bytes;
    const found = this.locate(size.of, element);
    let value = found;
    if (found?.type.kind === 'pointer') {
      const target = this.#members.target(found.type);
      const address = this.#pointer(found.address);
      value = target === undefined || address === 0n ? undefined : { address, type: target };
    }
    if (value === undefined) throw new Unresolved(`${size.of.text}: a pointer to it is NULL`);
    const { kind, size: width } = value.type;
    if (kind !== 'integer' || ![1, 2, 4, 8].includes(width))
      throw new Unresolved(`${size.of.text} is no integer: it cannot be a size`);
    return this.#read(value.address, width).reduceRight((number, byte) => number * 256 + byte, 0);
  }

  /** Bytes before the first NUL; what lies behind the end of mapped memory does not count. */
  #stringLength(address: bigint): number {
    const { memory, pageSize } = this.#kernel;
    let length = 0;
    while (length < maxString) {
      const at = address + BigInt(length);
      const chunk = Math.min(maxString - length, pageSize - Number(at % BigInt(pageSize)));
      const bytes = memory.read(BigInt.asUintN(64, at), chunk);
      if (isMissing(bytes)) {
        if (length === 0) throw new Unresolved(`the text at 0x${address.toString(16)} is ${bytes.missing}`);
        return length;
      }
      const end = bytes.indexOf(0);
      if (end >= 0) return length + end;
      length += chunk;
    }
    return length;
  }
}

function extentOf(address: bigint, bytes: number): Extent | undefined {
  return bytes > 0 ? { address, bytes } : undefined;
}
