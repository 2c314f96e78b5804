import { type Btf, btfKind } from '../formats/btf.ts';
import { CType } from './ctype.ts';

const found = new WeakMap<Btf, Map<number, CType | undefined>>();

/** The type of a pointer to a type; undefined when nothing in the kernel has such a pointer. */
export function pointerTo(btf: Btf, target: CType): CType | undefined {
  let known = found.get(btf);
  if (known === undefined) {
    known = new Map();
    found.set(btf, known);
  }
  if (!known.has(target.id)) known.set(target.id, search(btf, target.id));
  return known.get(target.id);
}

function search(btf: Btf, target: number): CType | undefined {
  for (let id = 1; id < btf.length; id++)
    if (btf.kind(id) === btfKind.pointer && btf.target(id) === target) return new CType(btf, id);
  return undefined;
}

/** The prototype of a function of the kernel. */
export function functionNamed(btf: Btf, name: string): CType | undefined {
  const id = btf.named(name).find((each) => btf.kind(each) === btfKind.func);
  return id === undefined ? undefined : new CType(btf, btf.target(id));
}

/** An array of a type whose length is not known. */
export function openArrayOf(btf: Btf, element: CType): CType | undefined {
  for (let id = 1; id < btf.length; id++) {
    const array = btf.kind(id) === btfKind.array ? btf.array(id) : undefined;
    if (array?.element === element.id && array.length === 0) return new CType(btf, id);
  }
  return undefined;
}
