import { isStructRef } from '../../kernel/dwarf-types.ts';
import type { VirtualMemory } from '../../kernel/memory.ts';
import type { KernelSymbols, KernelTypes, TypeMember, TypeRef } from '../../kernel/types.ts';

/** Where erase commands look things up. */
export type EraseKernel = {
  readonly memory: VirtualMemory;
  /** Run-time addresses. */
  readonly symbols: KernelSymbols;
  readonly types: KernelTypes;
  /** Bytes. */
  readonly pageSize: number;
  /**
   * Symbols and types of a loaded module; undefined when the module is not loaded or nothing is known about it.
   * Left out when nothing is known about any.
   */
  module?(name: string): Pick<EraseKernel, 'symbols' | 'types'> | undefined;
};

/**
 * Types of variables that are often erased or walked, for when only BTF is there, which knows the types of per-CPU
 * variables alone. '*' stands for a pointer.
 */
const variables: Readonly<Record<string, string>> = {
  crashk_res: 'resource',
  init_cred: 'cred',
  init_files: 'files_struct',
  init_fs: 'fs_struct',
  init_ipc_ns: 'ipc_namespace',
  init_mm: 'mm_struct',
  init_net: 'net',
  init_nsproxy: 'nsproxy',
  init_pid_ns: 'pid_namespace',
  init_task: 'task_struct',
  init_user_ns: 'user_namespace',
  init_uts_ns: 'uts_namespace',
  iomem_resource: 'resource',
  ioport_resource: 'resource',
  log_buf: '*char',
  modules: 'list_head',
  net_namespace_list: 'list_head',
  prb: '*printk_ringbuffer',
  root_task_group: 'task_group',
  saved_command_line: '*char',
  slab_caches: 'list_head',
  super_blocks: 'list_head',
  vmap_area_list: 'list_head',
};

const pointerSize = 8;

/** Type of a variable, from debug information or from the table. */
export function variableType(types: KernelTypes, name: string): TypeRef | undefined {
  const known = types.variable(name);
  if (known !== undefined) return known;
  const described = Object.hasOwn(variables, name) ? variables[name]! : undefined;
  if (described === undefined) return undefined;
  const target = types.find(described.replace('*', ''));
  if (target === undefined || !described.startsWith('*')) return target;
  return { kind: 'pointer', name: '', size: pointerSize, target: () => target };
}

/**
 * Members of types, each looked up once: the elements of a list all have the same type, and finding a member in debug
 * information takes longer than reading it.
 */
export class Members {
  readonly #types: KernelTypes;
  readonly #known = new WeakMap<TypeRef, Map<string, TypeMember | undefined>>();
  readonly #targets = new WeakMap<TypeRef, TypeRef>();
  readonly #paths = new Map<string, TypeMember | undefined>();

  constructor(types: KernelTypes) {
    this.#types = types;
  }

  /** Member of a struct or union. */
  find(type: TypeRef, name: string): TypeMember | undefined {
    let members = this.#known.get(type);
    if (members === undefined) {
      members = new Map();
      this.#known.set(type, members);
    }
    if (!members.has(name)) members.set(name, this.#search(type, name));
    return members.get(name);
  }

  /** Member of a member of a named structure: the way to what lies in a structure that has no name. */
  findPath(struct: string, path: string): TypeMember | undefined {
    const key = `${struct} ${path}`;
    if (!this.#paths.has(key)) this.#paths.set(key, this.#types.member(struct, path));
    return this.#paths.get(key);
  }

  /** What a pointer points to or an array holds. */
  target(type: TypeRef): TypeRef | undefined {
    let target = this.#targets.get(type);
    if (target === undefined) {
      target = type.target?.();
      if (target !== undefined) this.#targets.set(type, target);
    }
    return target;
  }

  #search(type: TypeRef, name: string): TypeMember | undefined {
    if (type.kind !== 'struct' && type.kind !== 'union') return undefined;
    if (isStructRef(type)) return type.member(name);
    return type.name === '' ? undefined : this.#types.member(type.name, name);
  }
}
