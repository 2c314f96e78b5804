import type { Btf } from '../formats/btf.ts';
import { KdumpError } from '../lib/errors.ts';
import { type Backtrace, followStack, stateOfRegisters } from './backtrace.ts';
import { KernelCore, known } from './core.ts';
import { type CpuState, panicCpu, readCpus } from './cpus.ts';
import { type CType, findType, typeOfVariable } from './ctype.ts';
import { type ListDamage, walkList } from './list.ts';
import { isMissing, type Missing } from './memory.ts';
import { MemoryMap } from './memory-map.ts';
import { moduleTypes } from './module-types.ts';
import { type KernelModule, lastUnloadedModule, type ModuleList, readModules } from './modules.ts';
import { KernelObject, readText, readValue, type Value } from './object.ts';
import type { KernelMemory } from './open.ts';
import { OrcTables } from './orc-tables.ts';
import { type Regions, regionsOf } from './regions.ts';
import type { Registers } from './registers.ts';
import { traceCpu, traceSwitchedOut } from './stack-starts.ts';
import { cpuStacks, onStack, type StackRange, taskStack } from './stacks.ts';
import { type SymbolOf, type SymbolPlace, SymbolTable } from './symbol-table.ts';
import { KernelTask, readTasks, type TaskList } from './tasks.ts';
import type { Unwinder } from './unwind.ts';
import { keepsFramePointers } from './unwind-frame-pointer.ts';

export type OpenKernelOptions = {
  /** The dump's ELF notes: registers of CPUs where the kernel itself saved none. */
  readonly notes?: Uint8Array;
};

/** A kernel as an object: symbols, types, CPUs, tasks, modules, stacks. Nothing is read before it is asked for. */
export function openKernel(memory: KernelMemory, options: OpenKernelOptions = {}): Kernel {
  return new Kernel(new KernelCore(memory), options);
}

/**
 * What is known of a kernel by nothing but its memory.
 *
 *     const kernel = openKernel(openKernelMemory(arch, vmcoreinfo, dump, dump.segments), { notes: dump.notes });
 *     kernel.symbolAt(0xffffffffb65ccf31n);              // { symbol: { name: 'panic', … }, offset: 12, … }
 *     kernel.object('task_struct', address).member('thread.sp').integer();
 *     for (const frame of kernel.backtrace(kernel.panicTask!).frames) …
 *
 * What a dump lacks is Missing in its place; asking for a type or member that this kernel does not have is an error.
 */
export class Kernel {
  readonly core: KernelCore;
  readonly symbols: SymbolTable;
  readonly #notes: Uint8Array | undefined;
  #modules: ModuleList | undefined;
  #moduleTypes: readonly Btf[] | undefined;
  #cpus: readonly CpuState[] | undefined;
  #tasks: TaskList | undefined;
  #regions: Regions | undefined;
  #memoryMap: MemoryMap | undefined;
  readonly #stacks = new Map<number, readonly StackRange[]>();
  #unwinding: Pick<Unwinder, 'orc' | 'framePointers'> | undefined;

  constructor(core: KernelCore, options: OpenKernelOptions) {
    this.core = core;
    this.#notes = options.notes;
    this.symbols = new SymbolTable(core.kallsyms, () => this.modules);
  }

  /**
   * Forgets what was read and changes while a kernel runs: CPUs, tasks, modules. Of a dump there is nothing to forget, of
   * /proc/kcore what was asked for before is old news.
   */
  forget(): void {
    this.core.forget();
    this.#modules = undefined;
    this.#moduleTypes = undefined;
    this.#cpus = undefined;
    this.#tasks = undefined;
    this.#memoryMap = undefined;
    this.#stacks.clear();
    this.#unwinding = undefined;
  }

  /** The symbol of a name, the kernel's own before those of modules; `module:name` asks one module. */
  symbol(name: string): SymbolOf | undefined {
    return this.symbols.find(name);
  }

  /** What an address of the kernel's image or of a module is called. */
  symbolAt(address: bigint): SymbolPlace | undefined {
    return this.symbols.at(address);
  }

  /** Address of a CPU's own copy of a per-CPU variable; undefined when there is no such symbol or CPU. */
  perCpu(symbol: string, cpu: number): bigint | Missing | undefined {
    return this.core.perCpu(symbol, cpu);
  }

  /** A type of the kernel, or else of a module: 'task_struct', 'struct file', 'pid_t'. */
  type(name: string): CType | undefined {
    const own = this.core.type(name);
    if (own !== undefined) return own;
    for (const btf of this.#typesOfModules()) {
      const type = findType(btf, name);
      if (type !== undefined) return type;
    }
    return undefined;
  }

  /** Type of a variable; BTF knows those of per-CPU variables. */
  typeOf(symbol: string): CType | undefined {
    return this.core.btf && typeOfVariable(this.core.btf, symbol);
  }

  /** Something of a type at an address. @throws KdumpError `no-type` */
  object(type: string | CType, address: bigint): KernelObject {
    const found = typeof type === 'string' ? this.type(type) : type;
    return found === undefined
      ? this.core.object(type as string, address)
      : new KernelObject(this.core.memory, found, address);
  }

  /** What lies at an address, as plain values with Missing in place of what is not there. @throws KdumpError `no-type` */
  read(type: string | CType, address: bigint): Value {
    const object = this.object(type, address);
    return readValue(this.core.memory, object.type, object.address);
  }

  /** A string that ends with a NUL. */
  text(address: bigint): string | Missing {
    return readText(this.core.memory, address);
  }

  /** The structure that a member lies in. @throws KdumpError `no-type`, `no-member` */
  containerOf(address: bigint, type: string, member: string): KernelObject {
    const place = this.object(type, 0n).type.place(member);
    if (place === undefined)
      throw new KdumpError('no-member', `${type} has no member ${member} in this kernel`);
    return this.object(type, address - BigInt(place.offset));
  }

  /**
   * What a list_head links: objects of a type, which have it as the member of that name. A list that is damaged gives what
   * can be reached, and says what is wrong.
   * @throws KdumpError `no-type`, `no-member`
   */
  listEntries(
    head: bigint,
    type: string,
    member: string,
  ): { readonly entries: readonly KernelObject[]; readonly damage: ListDamage | undefined } {
    const { entries, damage } = walkList(this.core.memory, head);
    return { entries: entries.map((entry) => this.containerOf(entry, type, member)), damage };
  }

  /** Modules that are loaded, the last one first. */
  get modules(): readonly KernelModule[] {
    return this.moduleList.modules;
  }

  get moduleList(): ModuleList {
    this.#modules ??= readModules(this.core);
    return this.#modules;
  }

  /** Name of the module that was unloaded last. */
  get lastUnloadedModule(): string | undefined {
    return lastUnloadedModule(this.core);
  }

  /** CPUs that were online, with what they ran and their registers. */
  get cpus(): readonly CpuState[] {
    this.#cpus ??= readCpus(this.core, this.#notes);
    return this.#cpus;
  }

  /** The CPU that panicked; undefined when none did. */
  get panicCpu(): number | undefined {
    return panicCpu(this.core, this.cpus);
  }

  /** The task that panicked. */
  get panicTask(): KernelTask | undefined {
    const task = this.cpus.find(({ cpu }) => cpu === this.panicCpu)?.task;
    return task === undefined ? undefined : this.task(task);
  }

  /** All tasks. */
  get tasks(): readonly KernelTask[] {
    return this.taskList.tasks;
  }

  get taskList(): TaskList {
    this.#tasks ??= readTasks(this.core, this.cpus);
    return this.#tasks;
  }

  /** The task whose task_struct is at an address, listed or not. */
  task(address: bigint): KernelTask {
    const cpu = this.cpus.find((each) => each.task === address)?.cpu;
    return new KernelTask(this.core, this.core.object('task_struct', address), cpu);
  }

  /** Where memory as a whole is mapped. */
  get regions(): Regions {
    this.#regions ??= regionsOf(this.core);
    return this.#regions;
  }

  /** What pages of memory are, and the objects in slabs. */
  get memoryMap(): MemoryMap {
    this.#memoryMap ??= new MemoryMap(this);
    return this.#memoryMap;
  }

  /** The stacks of a CPU apart from those of tasks. */
  stacks(cpu: number): readonly StackRange[] {
    let stacks = this.#stacks.get(cpu);
    if (stacks === undefined) {
      stacks = cpuStacks(this.core, cpu);
      this.#stacks.set(cpu, stacks);
    }
    return stacks;
  }

  /**
   * The functions that a task was in, the innermost first; of one that runs, by the registers that its CPU saved. Where it
   * ends, and why, is in `stop`.
   */
  backtrace(of: KernelTask | { readonly cpu: number } | { readonly registers: Registers }): Backtrace {
    if ('registers' in of) return followStack(this.#unwinder([]), stateOfRegisters(of.registers));
    if (of instanceof KernelTask && of.onCpu === undefined) {
      const own = taskStack(this.core, of);
      return traceSwitchedOut(this.core, this.#unwinder(own ? [own] : []), of);
    }
    const cpu = of instanceof KernelTask ? of.onCpu : of.cpu;
    const state = this.cpus.find((each) => each.cpu === cpu);
    const registers = known(state?.registers);
    if (state === undefined || registers === undefined)
      return {
        frames: [],
        stop: isMissingValue(state?.registers) ?? { reason: 'no-registers' },
      };
    const task = state.task === undefined ? undefined : this.task(state.task);
    const own = task && taskStack(this.core, task);
    const stacks = [...(own ? [own] : []), ...this.stacks(state.cpu)];
    return traceCpu(this.core, this.#unwinder(stacks), registers, stacks);
  }

  #unwinder(stacks: readonly StackRange[]): Unwinder {
    this.#unwinding ??= {
      orc: OrcTables.open(this.core, () => this.modules),
      framePointers: keepsFramePointers(this.core),
    };
    const { core, symbols } = this;
    return {
      ...this.#unwinding,
      core,
      symbols,
      stackOf: (address) => stacks.find((stack) => onStack(stack, address)),
    };
  }

  #typesOfModules(): readonly Btf[] {
    this.#moduleTypes ??= moduleTypes(this.core);
    return this.#moduleTypes;
  }
}

const isMissingValue = (value: Registers | Missing | undefined) =>
  value !== undefined && isMissing(value) ? ({ reason: 'missing', missing: value } as const) : undefined;
