import type { CType } from '../../kernel/ctype.ts';
import { declaredType } from '../../kernel/known-globals.ts';
import { isMissing } from '../../kernel/memory.ts';
import { KernelObject } from '../../kernel/object.ts';
import { openArrayOf, pointerTo } from '../../kernel/type-search.ts';
import { KdumpError } from '../../lib/errors.ts';
import { usageError } from '../arguments.ts';
import type { Session } from '../session.ts';
import { missingText } from '../text.ts';
import { compilersName } from './declaration.ts';

/** What an expression stands for: something in memory, or a number that was computed. */
export type Operand =
  | { readonly kind: 'object'; readonly object: KernelObject }
  | { readonly kind: 'number'; readonly type: CType | undefined; readonly value: bigint }
  /** A symbol whose type is not known: only its address is. */
  | { readonly kind: 'symbol'; readonly name: string; readonly address: bigint };

const token = /\s*(0x[0-9a-f]+|\d+|[A-Za-z_]\w*|->|[-+*&()[\].])/iy;

/**
 * What an expression in C stands for: symbols, numbers, members, elements, `*`, `&`, casts to a type or a pointer to one,
 * `+` and `-`. Types are those of per-CPU variables, of the globals that are known (known-globals.ts), and of casts.
 * @throws KdumpError `usage`, `no-symbol`, `no-type`, `no-member`
 */
export function evaluate(session: Session, text: string): Operand {
  return new Parser(session, text).whole();
}

/** A type as C writes it: 'struct list_head', 'unsigned long', 'struct task_struct *'. */
export function typeNamed(session: Session, text: string): CType | undefined {
  const [, words, stars, open] = /^\s*([\w\s]*\w)\s*((?:\*\s*)*)(\[\])?$/.exec(text) ?? [];
  if (words === undefined) return undefined;
  const { kernel } = session;
  const name = words.replace(/\s+/g, ' ');
  let type = kernel.type(compilersName(name)) ?? kernel.type(name);
  if (open !== undefined) return type && kernel.core.btf && openArrayOf(kernel.core.btf, type);
  for (const _ of stars!.replace(/\s/g, '')) {
    const btf = kernel.core.btf;
    type = type === undefined || btf === undefined ? undefined : pointerTo(btf, type);
  }
  return type;
}

/** Type of a variable, where it is known. */
export function typeOfSymbol(session: Session, name: string): CType | undefined {
  const declared = declaredType(name);
  return session.kernel.typeOf(name) ?? (declared === undefined ? undefined : typeNamed(session, declared));
}

class Parser {
  readonly #session: Session;
  readonly #text: string;
  readonly #tokens: string[] = [];
  #next = 0;

  constructor(session: Session, text: string) {
    this.#session = session;
    this.#text = text;
    token.lastIndex = 0;
    const end = text.trimEnd().length;
    for (let at = 0; at < end; at = token.lastIndex) {
      const found = token.exec(text)?.[1];
      if (found === undefined) throw usageError(`${text}: cannot be read from '${text.slice(at)}' on`);
      this.#tokens.push(found);
    }
  }

  whole(): Operand {
    const result = this.#sum();
    if (this.#next < this.#tokens.length)
      throw usageError(`${this.#text}: '${this.#tokens[this.#next]}' is not expected there`);
    return result;
  }

  #take(expected?: string): string {
    const found = this.#tokens[this.#next++];
    if (found === undefined || (expected !== undefined && found !== expected))
      throw usageError(`${this.#text}: ${expected ?? 'more'} is expected after what is there`);
    return found;
  }

  #sum(): Operand {
    let left = this.#unary();
    for (let sign = this.#tokens[this.#next]; sign === '+' || sign === '-'; sign = this.#tokens[this.#next]) {
      this.#next++;
      const right = this.#number(this.#unary());
      const step = left.kind === 'object' || left.kind === 'number' ? stepOf(typeOfOperand(left)) : 1n;
      const value = this.#number(left) + (sign === '+' ? right : -right) * step;
      left = { kind: 'number', type: left.kind === 'symbol' ? undefined : typeOfOperand(left), value };
    }
    return left;
  }

  #unary(): Operand {
    const sign = this.#tokens[this.#next];
    if (sign === '*') {
      this.#next++;
      return this.#pointed(this.#unary());
    }
    if (sign === '-') {
      this.#next++;
      return { kind: 'number', type: undefined, value: -this.#number(this.#unary()) };
    }
    if (sign === '&') {
      this.#next++;
      return this.#addressOf(this.#unary());
    }
    const cast = this.#cast();
    return cast ?? this.#postfix();
  }

  #cast(): Operand | undefined {
    if (this.#tokens[this.#next] !== '(') return undefined;
    const close = this.#tokens.indexOf(')', this.#next);
    const inside = this.#tokens.slice(this.#next + 1, close);
    if (close < 0 || !/^[A-Za-z_]/.test(inside[0] ?? '') || inside.some((each) => !/^(\w+|\*)$/.test(each)))
      return undefined;
    const name = inside.join(' ').replaceAll('* *', '**');
    const type = typeNamed(this.#session, name);
    if (type === undefined) {
      // A symbol within brackets.
      if (inside.length === 1 && this.#session.kernel.symbol(inside[0]!) !== undefined) return undefined;
      throw new KdumpError('no-type', `the types of this kernel do not have ${name}`);
    }
    this.#next = close + 1;
    const of = this.#unary();
    if (of.kind === 'object' && type.bare.members.length > 0)
      return { kind: 'object', object: this.#session.kernel.object(type, of.object.address) };
    return { kind: 'number', type, value: this.#number(of) };
  }

  #postfix(): Operand {
    let at = this.#primary();
    for (;;) {
      const sign = this.#tokens[this.#next];
      if (sign !== '.' && sign !== '->' && sign !== '[') return at;
      this.#next++;
      if (sign === '[') {
        const index = Number(this.#number(this.#sum()));
        this.#take(']');
        const element = this.#object(at).at(index);
        if (isMissing(element)) throw notThere(this.#text, missingText(element));
        at = { kind: 'object', object: element };
        continue;
      }
      // gdb follows pointers at a dot, too.
      const type = at.kind === 'symbol' ? undefined : typeOfOperand(at);
      const inside = type?.bare.kind === 'pointer' ? this.#object(this.#pointed(at)) : this.#object(at);
      at = { kind: 'object', object: inside.member(this.#take()) };
    }
  }

  #primary(): Operand {
    const word = this.#take();
    if (word === '(') {
      const inner = this.#sum();
      this.#take(')');
      return inner;
    }
    if (/^\d/.test(word)) return { kind: 'number', type: undefined, value: BigInt(word) };
    const symbol = this.#session.kernel.symbol(word);
    if (symbol === undefined) {
      const constant = this.#session.kernel.core.btf?.enumerator(word);
      if (constant !== undefined) return { kind: 'number', type: undefined, value: constant };
      throw new KdumpError('no-symbol', `this kernel has no symbol ${word}`);
    }
    const type = typeOfSymbol(this.#session, word);
    return type === undefined
      ? { kind: 'symbol', name: word, address: symbol.address }
      : { kind: 'object', object: this.#session.kernel.object(type, symbol.address) };
  }

  #object(operand: Operand): KernelObject {
    if (operand.kind === 'object') return operand.object;
    if (operand.kind === 'number')
      throw usageError(
        `${this.#text}: ${operand.value} is a number, which has no members; cast it to a pointer`,
      );
    throw noType(operand.name);
  }

  #pointed(operand: Operand): Operand {
    if (operand.kind === 'symbol') throw noType(operand.name);
    const type = typeOfOperand(operand);
    const target =
      type?.bare.kind === 'pointer' || type?.bare.kind === 'array' ? type.bare.target : undefined;
    if (target === undefined || target.kind === 'void')
      throw usageError(
        `${this.#text}: what is not a pointer leads nowhere; cast it: *(struct list_head *)ADDRESS`,
      );
    const address = type!.bare.kind === 'array' ? this.#object(operand).address : this.#number(operand);
    return { kind: 'object', object: new KernelObject(this.#session.kernel.core.memory, target, address) };
  }

  #addressOf(operand: Operand): Operand {
    if (operand.kind === 'number') throw usageError(`${this.#text}: a number has no address`);
    if (operand.kind === 'symbol') return { kind: 'number', type: undefined, value: operand.address };
    const btf = this.#session.kernel.core.btf;
    const type = btf && pointerTo(btf, operand.object.type);
    return { kind: 'number', type, value: operand.object.address };
  }

  #number(operand: Operand): bigint {
    if (operand.kind === 'number') return operand.value;
    if (operand.kind === 'symbol') return operand.address;
    if (operand.object.type.bare.kind === 'array' || operand.object.type.bare.members.length > 0)
      return operand.object.address;
    const value = operand.object.integer();
    if (isMissing(value)) throw notThere(this.#text, missingText(value));
    return value;
  }
}

const typeOfOperand = (operand: Exclude<Operand, { kind: 'symbol' }>): CType | undefined =>
  operand.kind === 'object' ? operand.object.type : operand.type;

/** Bytes that a pointer goes on by when 1 is added to it. */
function stepOf(type: CType | undefined): bigint {
  return type?.bare.kind === 'pointer' ? BigInt(type.bare.target?.size || 1) : 1n;
}

const noType = (name: string): KdumpError =>
  new KdumpError('no-type', `the type of ${name} is not known: BTF has only those of per-CPU variables`, {
    fix: `Say what it is: p *(struct TYPE *)&${name}, or struct TYPE ${name}.`,
  });

const notThere = (text: string, why: string): KdumpError =>
  new KdumpError('missing', `${text}: what it leads to is not in the dump ${why}`);
