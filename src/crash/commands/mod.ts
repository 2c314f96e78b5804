import type { KernelModule } from '../../kernel/modules.ts';
import { KdumpError } from '../../lib/errors.ts';
import { hasOption } from '../../lib/getopt.ts';
import { parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { damageText } from '../damage.ts';
import type { Session } from '../session.ts';
import { centred, hex, shown } from '../text.ts';

const flags = 'tsSdDrRog';

export const mod: Command = {
  name: 'mod',
  aliases: ['lsmod'],
  usage: '[-t] | -s module | -S',
  summary: 'modules that were loaded',
  help: `Shows modules with the place of their text and the size of all that they occupy. Their symbols and types are in
the dump, and known from the start: there is nothing to load, and -s, -S and -d have nothing to do.

  -t   what loading each of them tainted the kernel with`,
  *run(session, args) {
    const parsed = parseFlags(args, flags);
    const { damage } = session.kernel.moduleList;
    const modules = [...session.kernel.modules].sort((a, b) => ((a.base ?? 0n) < (b.base ?? 0n) ? -1 : 1));
    const wanted = parsed.positionals;
    const unknown = wanted
      .slice(0, hasOption(parsed, 's') ? 1 : undefined)
      .find((name) => !modules.some((module) => module.name === name));
    if (unknown !== undefined) throw usageError(`${unknown}: no module of this name was loaded`);
    if (['s', 'S', 'd', 'D'].some((letter) => hasOption(parsed, letter))) {
      yield 'mod: symbols and types of all modules are taken from the dump; there is nothing to load';
      return;
    }
    const chosen = modules.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
    yield* hasOption(parsed, 't') ? taintLines(chosen) : moduleLines(chosen);
    if (damage !== undefined) yield damageText('mod', 'the list of modules', damage);
  },
  json: ({ kernel }: Session) =>
    kernel.modules.map((module) => ({
      module: module.address,
      name: module.name,
      state: module.state,
      base: module.base,
      size: module.size,
      taints: module.taints,
      references: module.references,
    })),
};

function* moduleLines(modules: readonly KernelModule[]): Generator<string> {
  if (modules.length === 0) throw new KdumpError('no-modules', 'no modules were loaded');
  const width = Math.max(4, ...modules.map(({ name }) => name.length));
  // Since 6.4 text is a part of its own.
  const parted = modules.some(({ object }) => object.find('mem') !== undefined);
  const digits = Math.max(4, ...modules.map(({ size }) => String(size).length));
  yield `${centred('MODULE', 16)}  ${'NAME'.padEnd(width)}  ${centred(parted ? 'TEXT_BASE' : 'BASE', 16)}  ${'SIZE'.padStart(digits)}  OBJECT FILE`;
  for (const { address, name, base, size, state } of modules) {
    const odd = state === 'live' || state === undefined ? '' : `  (${state})`;
    yield `${hex(address)}  ${name.padEnd(width)}  ${base === undefined ? '<unmapped>'.padEnd(16) : hex(base)}  ${String(size).padStart(digits)}  (not loaded)  [CONFIG_KALLSYMS]${odd}`;
  }
}

function* taintLines(modules: readonly KernelModule[]): Generator<string> {
  const tainted = modules.filter(({ taints }) => taints !== '');
  if (tainted.length === 0) {
    yield 'no tainted modules';
    return;
  }
  const width = Math.max(4, ...tainted.map(({ name }) => name.length));
  yield `${'NAME'.padEnd(width)}  TAINTS`;
  for (const { name, taints } of tainted) yield `${name.padEnd(width)}  ${shown(taints)}`;
}
