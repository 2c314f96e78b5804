import type { Btf } from '../formats/btf.ts';
import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { KdumpError } from '../lib/errors.ts';
import { type CType, findType } from './ctype.ts';
import type { Kallsyms } from './kallsyms.ts';
import { isMissing, type Missing, u64At, type VirtualMemory } from './memory.ts';
import { KernelObject } from './object.ts';
import type { KernelMemory } from './open.ts';

/** Bits of a CPU mask that are looked at: the most that NR_CPUS may be. */
const maxCpus = 8192;

/** Memory, built-in symbols and types of a kernel: what everything that is known of it is made from. */
export class KernelCore {
  readonly memory: VirtualMemory;
  /** As the kernel exports it, completed by symbols and types. */
  readonly info: Vmcoreinfo;
  readonly #kernel: KernelMemory;
  readonly #types = new Map<string, CType | undefined>();
  readonly #cpus = new Map<string, readonly number[]>();

  constructor(kernel: KernelMemory) {
    this.#kernel = kernel;
    this.memory = kernel.memory;
    this.info = kernel.knowledge.info;
  }

  /** Forgets what was read and changes while a kernel runs. */
  forget(): void {
    this.#cpus.clear();
    this.memory.forget();
  }

  /** Built-in symbols; undefined when the dump has none. */
  get kallsyms(): Kallsyms | undefined {
    return this.#kernel.knowledge.symbols;
  }

  /** The kernel's own types; undefined when the dump has none. */
  get btf(): Btf | undefined {
    return this.#kernel.knowledge.types?.btf;
  }

  /** Run-time address of a built-in symbol. */
  address(name: string): bigint | undefined {
    return this.kallsyms?.address(name);
  }

  /** A type of the kernel itself by its name. */
  type(name: string): CType | undefined {
    if (!this.#types.has(name)) this.#types.set(name, this.btf && findType(this.btf, name));
    return this.#types.get(name);
  }

  /** @throws KdumpError `no-type` */
  object(type: string, address: bigint): KernelObject {
    const found = this.type(type);
    if (found === undefined) {
      throw new KdumpError('no-type', `the types of this kernel do not have ${type}`, {
        fix: 'A kernel describes its types when it is built with CONFIG_DEBUG_INFO_BTF.',
      });
    }
    return new KernelObject(this.memory, found, address);
  }

  /** A global variable whose type is known to who asks: BTF describes none but those of CPUs. */
  global(symbol: string, type: string): KernelObject | undefined {
    const address = this.address(symbol);
    return address === undefined || this.type(type) === undefined ? undefined : this.object(type, address);
  }

  u64(address: bigint): bigint | Missing {
    const bytes = this.memory.read(address, 8);
    return isMissing(bytes) ? bytes : u64At(bytes, 0);
  }

  i32(address: bigint): number | Missing {
    const bytes = this.memory.read(address, 4);
    return isMissing(bytes) ? bytes : Buffer.from(bytes).readInt32LE(0);
  }

  /** CPUs of a mask (`__cpu_online_mask`, `__cpu_possible_mask`), in ascending order; none when it cannot be read. */
  cpus(kind: 'possible' | 'online' | 'present'): readonly number[] {
    let cpus = this.#cpus.get(kind);
    if (cpus === undefined) {
      cpus = this.#readMask(`__cpu_${kind}_mask`);
      this.#cpus.set(kind, cpus);
    }
    return cpus;
  }

  /** Address of a CPU's own copy of a per-CPU variable; undefined when the symbol or the CPU is not known. */
  perCpu(symbol: string, cpu: number): bigint | Missing | undefined {
    const address = this.address(symbol);
    return address === undefined ? undefined : this.perCpuAddress(address, cpu);
  }

  /** The same by what the symbol's address, or a pointer to per-CPU memory, is. */
  perCpuAddress(address: bigint, cpu: number): bigint | Missing | undefined {
    const offsets = this.address('__per_cpu_offset');
    if (offsets === undefined || !this.cpus('possible').includes(cpu)) return undefined;
    const offset = this.u64(offsets + BigInt(8 * cpu));
    return isMissing(offset) ? offset : BigInt.asUintN(64, address + offset);
  }

  /** What a per-CPU pointer variable holds; undefined when it is not known or cannot be read. */
  perCpuPointer(symbol: string, cpu: number): bigint | undefined {
    const address = this.perCpu(symbol, cpu);
    return address === undefined || isMissing(address) ? undefined : known(this.u64(address));
  }

  #readMask(symbol: string): number[] {
    const address = this.address(symbol);
    const size = Math.min(this.type('cpumask')?.size ?? 8, maxCpus / 8);
    const bytes = address === undefined ? undefined : this.memory.read(address, size);
    if (bytes === undefined || isMissing(bytes)) return [];
    return Array.from({ length: size * 8 }, (_, cpu) => cpu).filter(
      (cpu) => ((bytes[cpu >> 3]! >> (cpu & 7)) & 1) !== 0,
    );
  }
}

/** A value, or undefined in place of the reason why it is missing. */
export const known = <T>(value: T | Missing | undefined): T | undefined =>
  value === undefined || isMissing(value) ? undefined : value;
