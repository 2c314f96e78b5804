import { type KernelCore, known } from './core.ts';
import type { CType } from './ctype.ts';
import { type ListDamage, walkList } from './list.ts';
import { isMissing, type Missing } from './memory.ts';
import { type ModuleSymbol, moduleSymbols } from './module-symbols.ts';
import { type KernelObject, readText } from './object.ts';

/** A piece of memory that belongs to a module. */
export type ModuleRange = { readonly start: bigint; readonly end: bigint; readonly kind: string };

/** A section of a module as it was loaded. */
export type ModuleSection = { readonly name: string; readonly address: bigint };

const states = ['live', 'coming', 'going', 'unformed'] as const;

/** Letters of the kernel's taints by their bits (kernel/panic.c, taint_flags). */
const taintLetters = 'PFSRMBUDAWCIOELKXTNJ';

/** A loaded module. What cannot be read of it is Missing; nothing is read before it is asked for. */
export class KernelModule {
  readonly object: KernelObject;
  readonly name: string;
  readonly state: (typeof states)[number] | undefined;
  /** All that it occupies; of its init parts only what is still there. */
  readonly ranges: readonly ModuleRange[];
  readonly #core: KernelCore;
  #symbols: readonly ModuleSymbol[] | undefined;

  constructor(core: KernelCore, object: KernelObject, name: string) {
    this.#core = core;
    this.object = object;
    this.name = name;
    const state = known(object.find('state')?.number());
    this.state = state === undefined ? undefined : states[state];
    this.ranges = rangesOf(object);
  }

  /** Address of its struct module. */
  get address(): bigint {
    return this.object.address;
  }

  /** Where its text begins, as /proc/modules tells. */
  get base(): bigint | undefined {
    return this.ranges[0]?.start;
  }

  /** Bytes of all parts that stay, as /proc/modules tells. */
  get size(): number {
    return this.ranges
      .filter(({ kind }) => !kind.startsWith('init'))
      .reduce((sum, { start, end }) => sum + Number(end - start), 0);
  }

  /** References to it, without the one that it holds itself. */
  get references(): number | Missing | undefined {
    const count = this.object.find('refcnt.counter')?.number();
    return count === undefined || isMissing(count) ? count : Math.max(0, count - 1);
  }

  /** Letters of the taints that loading it left ('OE': out of tree, unsigned). */
  get taints(): string | Missing {
    const taints = this.object.find('taints')?.integer() ?? 0n;
    return isMissing(taints) ? taints : lettersOfTaints(taints);
  }

  /** All its symbols in ascending order of their addresses, built from what is left of its ELF file. */
  get symbols(): readonly ModuleSymbol[] {
    this.#symbols ??= moduleSymbols(this.#core, this.object);
    return this.#symbols;
  }

  /** Names and addresses of its sections; none when the kernel does not keep them. */
  get sections(): readonly ModuleSection[] {
    return sectionsOf(this.#core, this.object);
  }

  contains(address: bigint): boolean {
    return this.ranges.some(({ start, end }) => address >= start && address < end);
  }
}

export type ModuleList = {
  readonly modules: readonly KernelModule[];
  readonly damage: ListDamage | undefined;
};

/** All modules that are loaded, the last one first, as the kernel lists them; those that are only beginnings left out. */
export function readModules(core: KernelCore): ModuleList {
  const head = core.address('modules');
  const type = core.type('module');
  const link = type?.place('list');
  if (head === undefined || type === undefined || link === undefined)
    return { modules: [], damage: undefined };
  const { entries, damage } = walkList(core.memory, head, 65_536);
  const modules = entries.flatMap((entry) => {
    const object = core.object('module', entry - BigInt(link.offset));
    const name = object.member('name').text();
    return isMissing(name) ? [] : [new KernelModule(core, object, name)];
  });
  return { modules: modules.filter(({ state }) => state !== 'unformed'), damage };
}

/** The module that was unloaded last, as the kernel names it: 'vmsecmod', 'e1000(OE)'; undefined when none was. */
export function lastUnloadedModule(core: KernelCore): string | undefined {
  const address = core.address('last_unloaded_module');
  const nameBytes = core.type('module')?.place('name')?.type.size;
  const name = address === undefined ? undefined : known(readText(core.memory, address));
  if (address === undefined || !name) return undefined;
  // Since 6.1 its taints follow, in brackets.
  const behind = nameBytes === undefined ? undefined : readText(core.memory, address + BigInt(nameBytes));
  const taints = known(behind);
  return taints !== undefined && /^\([A-Z]{1,20}\)$/.test(taints) ? name + taints : name;
}

export function lettersOfTaints(taints: bigint): string {
  return [...taintLetters].filter((_, bit) => ((taints >> BigInt(bit)) & 1n) !== 0n).join('');
}

/** Since 6.4 a part for each kind of memory; before, one that stays and one that is freed after it was initialised. */
function rangesOf(module: KernelObject): ModuleRange[] {
  const ranges: ModuleRange[] = [];
  const add = (kind: string, base: KernelObject | undefined, size: KernelObject | undefined): void => {
    const [start, length] = [known(base?.integer()), known(size?.integer())];
    if (start && length) ranges.push({ kind, start, end: start + length });
  };
  const memory = module.find('mem');
  if (memory === undefined) {
    for (const kind of ['core', 'init'])
      add(kind, module.find(`${kind}_layout.base`), module.find(`${kind}_layout.size`));
    return ranges;
  }
  for (let i = 0; i < memory.type.bare.length; i++)
    add(memoryKinds[i] ?? `part ${i}`, module.find(`mem[${i}].base`), module.find(`mem[${i}].size`));
  return ranges;
}

/** enum mod_mem_type (include/linux/module.h). */
const memoryKinds = ['text', 'data', 'rodata', 'ro-after-init', 'init-text', 'init-data', 'init-rodata'];

/** Sections are kept as files of sysfs: with an address of their own until 6.13, then as the file's private pointer. */
function sectionsOf(core: KernelCore, module: KernelObject): ModuleSection[] {
  const attributes = module.find('sect_attrs')?.deref();
  if (attributes === undefined || isMissing(attributes)) return [];
  const list = attributes.find('attrs');
  const element = list?.type.bare.target?.bare;
  if (list === undefined || element === undefined || element.size === 0) return [];
  const count = known(attributes.find('nsections')?.number());
  return count === undefined
    ? openSections(core, list, element)
    : sectionArray(core, list.address, element, Math.min(count, 4096));
}

function sectionArray(core: KernelCore, start: bigint, element: CType, count: number): ModuleSection[] {
  const sections: ModuleSection[] = [];
  const name = element.place('battr.attr.name') ?? element.place('attr.name');
  const address = element.place('address') ?? element.place('private');
  if (name === undefined || address === undefined) return sections;
  for (let i = 0; i < count; i++) {
    const at = start + BigInt(i * element.size);
    const pointer = known(core.u64(at + BigInt(name.offset)));
    const text = pointer ? known(readText(core.memory, pointer)) : undefined;
    const value = known(core.u64(at + BigInt(address.offset)));
    if (text !== undefined && value !== undefined) sections.push({ name: text, address: value });
  }
  return sections;
}

/** Without a count the file ends where its names do. */
function openSections(core: KernelCore, list: KernelObject, element: CType): ModuleSection[] {
  const name = element.place('attr.name');
  let count = 0;
  while (
    name !== undefined &&
    count < 4096 &&
    known(core.u64(list.address + BigInt(count * element.size + name.offset)))
  )
    count++;
  return sectionArray(core, list.address, element, count);
}
