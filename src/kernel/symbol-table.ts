import type { Kallsyms, KernelSymbol } from './kallsyms.ts';
import type { KernelModule } from './modules.ts';

/** A symbol, and the module that it is of. */
export type SymbolOf = KernelSymbol & { readonly module: KernelModule | undefined };

/** What an address is called: a symbol and how far behind it. */
export type SymbolPlace = {
  readonly symbol: SymbolOf;
  /** Bytes. */
  readonly offset: number;
  /** Bytes of the symbol: up to the next one, or to the padding before that. */
  readonly size: number;
};

/** Symbols at one address, and those that are passed over, that are looked at. */
const maxAliases = 64;
const maxSize = 2 ** 31;

/** Symbols of the kernel and of its modules, both ways. */
export class SymbolTable {
  readonly #kallsyms: Kallsyms | undefined;
  readonly #modules: () => readonly KernelModule[];
  #image: { readonly start: bigint; readonly end: bigint } | undefined;

  constructor(kallsyms: Kallsyms | undefined, modules: () => readonly KernelModule[]) {
    this.#kallsyms = kallsyms;
    this.#modules = modules;
  }

  /** The symbol of a name: the kernel's own first; `module:name` asks one module. Of several, the lowest. */
  find(name: string): SymbolOf | undefined {
    return this.all(name)[0];
  }

  /** All symbols of a name: static ones share names. */
  all(name: string): SymbolOf[] {
    const [, only, plain] = /^(?:([\w-]+):)?(.+)$/.exec(name) ?? [];
    if (plain === undefined) return [];
    const own = only === undefined ? (this.#kallsyms?.addresses(plain) ?? []) : [];
    const builtIn = own.flatMap((address) => this.#namedAt(address, plain));
    const modules = this.#modules().filter((module) => only === undefined || module.name === only);
    return [
      ...builtIn,
      ...modules.flatMap((module) =>
        module.symbols.filter((symbol) => symbol.name === plain).map((symbol) => ({ ...symbol, module })),
      ),
    ];
  }

  /** What an address is called; undefined when it belongs neither to the kernel's image nor to a module. */
  at(address: bigint): SymbolPlace | undefined {
    const module = this.#modules().find((each) => each.contains(address));
    if (module !== undefined) return inModule(module, address);
    const image = this.#bounds();
    if (this.#kallsyms === undefined || image === undefined) return undefined;
    if (address < image.start || address >= image.end) return undefined;
    return this.#inImage(this.#kallsyms, address);
  }

  /** All symbols: the kernel's own in ascending order, then those of each module. */
  *entries(): Generator<SymbolOf> {
    for (const symbol of this.#kallsyms?.entries() ?? []) yield { ...symbol, module: undefined };
    for (const module of this.#modules()) for (const symbol of module.symbols) yield { ...symbol, module };
  }

  #namedAt(address: bigint, name: string): SymbolOf[] {
    for (let i = this.#kallsyms!.indexOf(address); i >= 0; i--) {
      const symbol = this.#kallsyms!.at(i);
      if (symbol === undefined || symbol.address !== address) return [];
      if (symbol.name === name) return [{ ...symbol, module: undefined }];
    }
    return [];
  }

  #inImage(kallsyms: Kallsyms, address: bigint): SymbolPlace | undefined {
    const last = kallsyms.indexOf(address);
    let first = last;
    let chosen: KernelSymbol | undefined;
    for (let i = last; i >= 0 && last - i < maxAliases; i--) {
      const symbol = kallsyms.at(i)!;
      if (chosen !== undefined && symbol.address !== chosen.address) break;
      if (isMark(symbol.name)) continue;
      // Of several at one address the first: the table has the likeliest there, and the kernel's own traces name it.
      first = i;
      chosen = symbol;
    }
    if (chosen === undefined) return undefined;
    let next = first + 1;
    while (next < kallsyms.length && next - first < maxAliases) {
      const symbol = kallsyms.at(next)!;
      if (symbol.address > chosen.address) break;
      next++;
    }
    const end = kallsyms.at(next)?.address ?? address + 1n;
    return place({ ...chosen, module: undefined }, address, end);
  }

  /** From the first byte of the image to its last. */
  #bounds(): { readonly start: bigint; readonly end: bigint } | undefined {
    if (this.#image === undefined) {
      const start = this.#kallsyms?.address('_text') ?? this.#kallsyms?.address('_stext');
      const end = this.#kallsyms?.address('_end');
      if (start !== undefined && end !== undefined) this.#image = { start, end };
    }
    return this.#image;
  }
}

function inModule(module: KernelModule, address: bigint): SymbolPlace | undefined {
  const { symbols } = module;
  let low = 0;
  let high = symbols.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (symbols[middle]!.address <= address) low = middle + 1;
    else high = middle;
  }
  const range = module.ranges.find(({ start, end }) => address >= start && address < end)!;
  let index = low - 1;
  if (index < 0 || symbols[index]!.address < range.start) return undefined;
  while (index > 0 && symbols[index - 1]!.address === symbols[index]!.address) index--;
  const next = symbols[low - 1]!.end ?? symbols[low]?.address;
  const end = next !== undefined && next < range.end ? next : range.end;
  return place({ ...symbols[index]!, module }, address, end);
}

const place = (symbol: SymbolOf, address: bigint, end: bigint): SymbolPlace => ({
  symbol,
  offset: Number(address - symbol.address),
  size: Math.min(Number(end - symbol.address), maxSize),
});

/** Padding in front of functions has a symbol of its own since 6.2. */
const isMark = (name: string): boolean => name.startsWith('__pfx_') || name.startsWith('__cfi_');
