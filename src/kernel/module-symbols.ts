import { type KernelCore, known } from './core.ts';
import type { KernelSymbol } from './kallsyms.ts';
import { isMissing } from './memory.ts';
import type { KernelObject } from './object.ts';

/** Elf64_Sym. */
const symbolBytes = 24;
const maxSymbols = 2 ** 20;
/** Names are at most KSYM_NAME_LEN, most are a twentieth of that. */
const maxNameBytes = 2 ** 26;
const sectionUndefined = 0;

/** A symbol of a module, and where it ends when that is before the next one: at the padding in front of that. */
export type ModuleSymbol = KernelSymbol & { readonly end?: bigint };

/**
 * The symbols of a module in ascending order of their addresses: struct mod_kallsyms (kernel/module/internal.h), a
 * symbol table of ELF with the addresses at which the module was loaded. The letters of their types lie beside it since 5.2.
 */
export function moduleSymbols(core: KernelCore, module: KernelObject): ModuleSymbol[] {
  const table = module.find('kallsyms')?.deref();
  if (table === undefined || isMissing(table)) return [];
  const pointer = (name: string): bigint | undefined => known(table.find(name)?.integer());
  const [entries, texts, letters] = [pointer('symtab'), pointer('strtab'), pointer('typetab')];
  const count = Math.min(known(table.find('num_symtab')?.number()) ?? 0, maxSymbols);
  if (!entries || !texts || count === 0) return [];
  const bytes = core.memory.read(entries, count * symbolBytes);
  if (isMissing(bytes)) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const types = letters ? known(core.memory.read(letters, count)) : undefined;

  let longest = 0;
  for (let i = 0; i < count; i++) longest = Math.max(longest, view.getUint32(i * symbolBytes, true));
  const names = namesAt(core, texts, longest);
  if (names === undefined) return [];
  const symbols: KernelSymbol[] = [];
  const paddings: bigint[] = [];
  for (let i = 0; i < count; i++) {
    const at = i * symbolBytes;
    const offset = view.getUint32(at, true);
    const name = names.toString('latin1', offset, Math.max(offset, names.indexOf(0, offset)));
    // Symbols that other modules define, and marks of the compiler.
    if (name === '' || name.startsWith('.L') || view.getUint16(at + 6, true) === sectionUndefined) continue;
    const address = view.getBigUint64(at + 8, true);
    if (name.startsWith('__pfx_')) {
      paddings.push(address);
      continue;
    }
    const type = types === undefined ? letterOf(view.getUint8(at + 4)) : String.fromCharCode(types[i]!);
    symbols.push({ address, name, type });
  }
  symbols.sort((a, b) => ascending(a.address, b.address));
  return paddings.length === 0 ? symbols : withEnds(symbols, paddings.sort(ascending));
}

const ascending = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** Each symbol with the padding behind it, where that comes before the next symbol. Both ascending. */
function withEnds(symbols: readonly KernelSymbol[], paddings: readonly bigint[]): ModuleSymbol[] {
  let at = 0;
  return symbols.map((symbol, i) => {
    while (at < paddings.length && paddings[at]! <= symbol.address) at++;
    const next = symbols[i + 1]?.address;
    const end = paddings[at];
    return end !== undefined && (next === undefined || end < next) ? { ...symbol, end } : symbol;
  });
}

/** The table of names up to the end of the last one, as far as its pages are there. */
function namesAt(core: KernelCore, address: bigint, last: number): Buffer | undefined {
  if (last > maxNameBytes) return undefined;
  const whole = core.memory.read(address, last);
  if (isMissing(whole)) return undefined;
  const tail = 4096 - Number((address + BigInt(last)) & 0xfffn);
  const pieces = [tail, 512]
    .map((_, i) => core.memory.read(address + BigInt(last), i === 0 ? tail : tail + 512))
    .map((piece) => known(piece))
    .filter((piece) => piece !== undefined);
  return Buffer.concat([whole, pieces.at(-1) ?? new Uint8Array(0)]);
}

/** By what the symbol is, where the letters are not kept: lower case for a local one. */
function letterOf(info: number): string {
  const letter = (info & 15) === 2 ? 'T' : 'D';
  return info >> 4 === 0 ? letter.toLowerCase() : letter;
}
