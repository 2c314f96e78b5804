import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { type AddressEncoding, encodings } from './kallsyms-addresses.ts';
import { KallsymsNames } from './kallsyms-names.ts';
import { isMissing, type VirtualMemory } from './memory.ts';
import type { KernelSymbols } from './types.ts';

/**
 * The kernel's own symbol table (kernel/kallsyms.c, scripts/kallsyms.c): all symbols that are built in, by address.
 * Little endian. Since 6.0 VMCOREINFO tells where its parts are; before, they can be found in the image
 * (kallsyms-scan.ts).
 */
export type KernelSymbol = {
  /** Run-time virtual address; per-CPU symbols before 6.15 are offsets into the per-CPU area. */
  readonly address: bigint;
  readonly name: string;
  /** As nm(1) names it; lower case for a local symbol. */
  readonly type: string;
};

export type Kallsyms = KernelSymbols & {
  /** Number of symbols. */
  readonly length: number;
  /** All symbols, in the order of the table. */
  entries(): Iterable<KernelSymbol>;
  /** The symbol at a place of the table, which is sorted by address. */
  at(index: number): KernelSymbol | undefined;
  /** Index of the last symbol at or below an address; -1 when there is none. */
  indexOf(address: bigint): number;
  /** All addresses of a name, in ascending order: static symbols share names. */
  addresses(name: string): readonly bigint[];
};

/** Where the parts of the table are: run-time virtual addresses. */
export type KallsymsPlaces = {
  readonly count: number;
  readonly names: bigint;
  readonly tokenTable: bigint;
  readonly tokenIndex: bigint;
  /** Ways in which the addresses may be stored; VMCOREINFO's own symbols decide which one it is. */
  readonly addresses: readonly AddressEncoding[];
  /**
   * Where the order by name may be kept. No two of them may be a multiple of 3 bytes apart and overlap: an order that is
   * read a few symbols off is sorted as well, and would not be told from the right one.
   */
  readonly orders: readonly bigint[];
};

/** Most symbols of a table; a kernel with everything built in has a million. */
const maxSymbols = 2 ** 21;
/** Bytes of all names; a kernel has 2 MiB of them. */
const maxNameBytes = 2 ** 26;
/** Bytes of 256 tokens, which are short: the longest table seen has 1 100. */
const maxTokenBytes = 2 ** 14;
/** Symbols of VMCOREINFO that are addresses of variables or functions of the same name, and in every kernel's table. */
const anchors = [
  '_stext',
  'init_uts_ns',
  'prb',
  'printk_rb_static',
  'init_top_pgt',
  'swapper_pg_dir',
  'node_data',
  'clear_seq',
  'log_buf',
  'vmap_area_list',
  'node_states',
] as const;
/** One is not enough: _text and _stext share an address, so that a table read one slot off could pass. */
const anchorsNeeded = 2;
const anchorsEnough = 4;

/** What is asked of every kernel (protected.ts, x86_64.ts, btf.ts): looked up along with the anchors. */
const usuallyAsked = [
  '__per_cpu_start',
  '__per_cpu_end',
  '__per_cpu_offset',
  'nr_cpu_ids',
  '_etext',
  '__start_rodata',
  '__end_rodata',
  '_sdata',
  '__init_begin',
  '__init_end',
  '__smp_locks',
  '__smp_locks_end',
  '__start_bss_decrypted_unused',
  '__end_bss_decrypted',
  '_brk_end',
  '__start_BTF',
  '__stop_BTF',
] as const;

/** Where VMCOREINFO says that the table is; undefined when it does not say, or what it says makes no sense. */
export function placesOfVmcoreinfo(info: Vmcoreinfo, memory: VirtualMemory): KallsymsPlaces | undefined {
  const exported = info.exported;
  const [names, number, tokenTable, tokenIndex] = [
    exported.symbol('kallsyms_names'),
    exported.symbol('kallsyms_num_syms'),
    exported.symbol('kallsyms_token_table'),
    exported.symbol('kallsyms_token_index'),
  ];
  if (names === undefined || number === undefined || tokenTable === undefined || tokenIndex === undefined)
    return undefined;
  const bytes = memory.read(number, 4);
  if (isMissing(bytes)) return undefined;
  const count = Buffer.from(bytes).readUInt32LE(0);
  const offsets = exported.symbol('kallsyms_offsets');
  const base = exported.symbol('kallsyms_relative_base');
  const absolute = exported.symbol('kallsyms_addresses');
  const addresses: AddressEncoding[] = [];
  const orders = [orderBefore(tokenTable, count)];
  if (offsets !== undefined && base !== undefined) {
    addresses.push(...encodings.relative(offsets, base));
    orders.unshift(base + 8n);
  } else if (offsets !== undefined) {
    addresses.push(encodings.place(offsets));
    orders.unshift(offsets + 4n * BigInt(count));
  } else if (absolute !== undefined) {
    addresses.push(encodings.absolute(absolute));
  }
  return { count, names, tokenTable, tokenIndex, addresses, orders };
}

/** Where the order by name is before 6.4: 3 bytes for each symbol, padded to 8, then the tokens. */
export function orderBefore(tokenTable: bigint, count: number): bigint {
  return tokenTable - align(3n * BigInt(count), 8n);
}

export const align = (value: bigint, to: bigint): bigint => ((value + to - 1n) / to) * to;

/**
 * Reads a symbol table.
 * @returns undefined when it cannot be read, or does not agree with the symbols that VMCOREINFO exports
 */
export function readKallsyms(
  places: KallsymsPlaces,
  info: Vmcoreinfo,
  memory: VirtualMemory,
): Kallsyms | undefined {
  const { count, names: start, tokenTable, tokenIndex } = places;
  // In every layout names, tokens and their index follow each other, with little or nothing between them.
  const room = Number(tokenTable - start);
  const tokenBytes = Number(tokenIndex - tokenTable);
  if (count === 0 || count > maxSymbols || room < 2 * count || room > maxNameBytes) return undefined;
  if (tokenBytes <= 0 || tokenBytes > maxTokenBytes) return undefined;
  const bytes = memory.read(start, room);
  const tokens = memory.read(tokenTable, tokenBytes);
  const index = memory.read(tokenIndex, 512);
  if (isMissing(bytes) || isMissing(tokens) || isMissing(index)) return undefined;
  const names = KallsymsNames.open(bytes, count, tokens, index);
  if (names === undefined) return undefined;
  for (const order of places.orders) {
    const sorted = memory.read(order, 3 * count);
    if (!isMissing(sorted) && names.useOrder(sorted)) break;
  }
  names.prepare([...anchors, ...usuallyAsked]);
  const encoding = encodingOf(places.addresses, names, info, memory);
  return encoding && new KallsymsTable(names, encoding, memory);
}

/** The way of storing addresses by which every anchor that can be found has the address that VMCOREINFO tells. */
function encodingOf(
  candidates: readonly AddressEncoding[],
  names: KallsymsNames,
  info: Vmcoreinfo,
  memory: VirtualMemory,
): AddressEncoding | undefined {
  const known: { address: bigint; indices: readonly number[] }[] = [];
  for (const name of anchors) {
    const address = info.exported.symbol(name);
    const indices = address === undefined ? [] : names.all(name);
    if (address !== undefined && indices.length > 0) known.push({ address, indices });
    if (known.length === anchorsEnough) break;
  }
  if (known.length < anchorsNeeded) return undefined;
  return candidates.find((encoding) =>
    // A static name may stand for several things; one of them must be the exported one.
    known.every(({ address, indices }) => indices.some((i) => encoding.address(i, memory) === address)),
  );
}

class KallsymsTable implements Kallsyms {
  readonly #names: KallsymsNames;
  readonly #encoding: AddressEncoding;
  readonly #memory: VirtualMemory;
  readonly #asked = new Map<string, bigint | undefined>();
  #decode: ((index: number) => bigint | undefined) | undefined;

  constructor(names: KallsymsNames, encoding: AddressEncoding, memory: VirtualMemory) {
    this.#names = names;
    this.#encoding = encoding;
    this.#memory = memory;
  }

  get length(): number {
    return this.#names.count;
  }

  /** Of several symbols with one name, the one at the lowest address. */
  address(name: string): bigint | undefined {
    if (!this.#asked.has(name)) {
      const [index] = this.#names.all(name);
      this.#asked.set(name, index === undefined ? undefined : this.#encoding.address(index, this.#memory));
    }
    return this.#asked.get(name);
  }

  addresses(name: string): bigint[] {
    return this.#names
      .all(name)
      .map((index) => this.#encoding.address(index, this.#memory))
      .filter((address) => address !== undefined);
  }

  at(index: number): KernelSymbol | undefined {
    const address = this.#address(index);
    return address === undefined ? undefined : { address, ...this.#names.at(index) };
  }

  indexOf(address: bigint): number {
    let low = 0;
    let high = this.#names.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#address(middle) ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  *entries(): Generator<KernelSymbol> {
    let index = 0;
    for (const { name, type } of this.#names.entries()) {
      const address = this.#address(index++);
      if (address !== undefined) yield { address, name, type };
    }
  }
  /** By a copy of the whole table, which is read when it is first needed. */
  #address(index: number): bigint | undefined {
    this.#decode ??= this.#encoding.all(this.#names.count, this.#memory);
    return index < 0 ? undefined : this.#decode(index);
  }
}
