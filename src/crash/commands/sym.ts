import type { KernelModule } from '../../kernel/modules.ts';
import type { SymbolOf } from '../../kernel/symbol-table.ts';
import { KdumpError } from '../../lib/errors.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { parseAddress, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';

const flags = 'lMm:pnq:';
/** Alternatives that are offered in place of a name that is none. */
const maxAlternatives = 40;

export const sym: Command = {
  name: 'sym',
  usage: '[-l] | [-M] | [-m module] | [-p | -n] | [-q string] | [symbol | address] ...',
  summary: 'names of addresses, addresses of names',
  help: `  sym panic             where it is
  sym ffffffffb88c4dcc  what lies there
  sym panic+0x10        the same

  -q   all symbols that have a string in their name
  -m   the symbols of a module      -M   those of all modules
  -l   all symbols                  -p, -n   the one before, the one behind, too`,
  *run(session, args) {
    const parsed = parseFlags(args, flags);
    const query = lastValue(parsed, 'q');
    const module = lastValue(parsed, 'm');
    if (hasOption(parsed, 'l')) yield* listed(session, () => true);
    else if (query !== undefined) yield* listed(session, ({ name }) => name.includes(query));
    else if (hasOption(parsed, 'M'))
      for (const each of byPlace(session.kernel.modules)) yield* moduleLines(session, each);
    else if (module !== undefined) yield* moduleLines(session, moduleNamed(session, module));
    else {
      if (parsed.positionals.length === 0) throw usageError('a symbol or an address is needed');
      for (const word of parsed.positionals)
        yield* found(session, word, hasOption(parsed, 'p'), hasOption(parsed, 'n'));
    }
  },
  json: (session, args) =>
    args.filter((word) => !word.startsWith('-')).flatMap((word) => placesOf(session, word)),
};

function* found(session: Session, word: string, previous: boolean, next: boolean): Generator<string> {
  const places = placesOf(session, word);
  if (places.length === 0) {
    const value = parseAddress(word);
    if (value !== undefined) throw usageError(`invalid address: ${word}`);
    yield `symbol not found: ${word}`;
    yield 'possible alternatives:';
    const names = [...session.kernel.symbols.entries()].filter(({ name }) => name.includes(word));
    for (const symbol of names.slice(0, maxAlternatives)) yield `  ${symbolLine(symbol)}`;
    if (names.length === 0) yield '  (none found)';
    if (names.length > maxAlternatives) yield `  (${names.length - maxAlternatives} more: sym -q ${word})`;
    return;
  }
  for (const { symbol, offset } of places) {
    const [before, after] = neighbours(session, symbol);
    if (previous && before !== undefined) yield symbolLine(before, 0, session);
    yield symbolLine(symbol, offset, session);
    if (next && after !== undefined) yield symbolLine(after, 0, session);
  }
}

/** What a word means: all symbols of a name, or of an address the one that it lies in. */
function placesOf({ kernel }: Session, word: string): { symbol: SymbolOf; offset: number }[] {
  const [, name = word, distance] = /^(.+)\+(0x[0-9a-f]+|\d+)$/i.exec(word) ?? [];
  const named = kernel.symbols.all(name);
  if (named.length > 0) return named.map((symbol) => ({ symbol, offset: Number(distance ?? 0) }));
  const address = parseAddress(word);
  const place = address === undefined ? undefined : kernel.symbolAt(address);
  return place === undefined ? [] : [place];
}

function symbolLine({ address, type, name, module }: SymbolOf, offset = 0, session?: Session): string {
  const at = address + BigInt(offset);
  const line = session?.namelist?.sourceLine(at);
  return `${hex(at)} (${type}) ${name}${offset === 0 ? '' : `+${offset}`}${module === undefined ? '' : ` [${module.name}]`}${line === undefined ? '' : ` ${line}`}`;
}

/** The symbols at the next lower and the next higher address. */
function neighbours({ kernel }: Session, { address, module, name }: SymbolOf): (SymbolOf | undefined)[] {
  if (module !== undefined) {
    const { symbols } = module;
    const at = symbols.findIndex((each) => each.address === address && each.name === name);
    return [symbols[at - 1], symbols[at + 1]].map((each) => each && { ...each, module });
  }
  const table = kernel.core.kallsyms!;
  const last = table.indexOf(address);
  const first = table.indexOf(address - 1n);
  return [table.at(first), table.at(last + 1)].map((each) => each && { ...each, module: undefined });
}

function* listed({ kernel }: Session, wanted: (symbol: SymbolOf) => boolean): Generator<string> {
  let none = true;
  for (const symbol of kernel.symbols.entries()) {
    if (!wanted(symbol)) continue;
    none = false;
    yield symbolLine(symbol);
  }
  if (none) yield '(none found)';
}

const byPlace = (modules: readonly KernelModule[]): KernelModule[] =>
  [...modules].sort((a, b) => ((a.base ?? 0n) < (b.base ?? 0n) ? -1 : 1));

function moduleNamed({ kernel }: Session, name: string): KernelModule {
  const module = kernel.modules.find((each) => each.name === name);
  if (module !== undefined) return module;
  throw new KdumpError('no-module', `${name}: no module of this name was loaded`);
}

/** Its symbols in the order of its parts, each part with where it begins and ends. */
function* moduleLines(_: Session, module: KernelModule): Generator<string> {
  const names: Readonly<Record<string, string>> = { core: '', init: ' INIT' };
  for (const { start, end, kind } of module.ranges) {
    const part = names[kind] ?? ` ${kind.toUpperCase().replaceAll('-', '_')}`;
    yield `${hex(start)} MODULE${part} START: ${module.name}`;
    for (const symbol of module.symbols)
      if (symbol.address >= start && symbol.address < end) yield symbolLine({ ...symbol, module: undefined });
    yield `${hex(end - 1n)} MODULE${part} END: ${module.name}`;
  }
}
