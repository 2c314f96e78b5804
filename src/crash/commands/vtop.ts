import { isMissing, type VirtualMemory, type WalkStep } from '../../kernel/memory.ts';
import { userMemory } from '../../kernel/user-memory.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { addressOf, parseFlags, tasksNamed, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { pageHeader, pageLine } from '../kmem/page-lines.ts';
import type { Session } from '../session.ts';
import { centred, hex, missingText, shown } from '../text.ts';
import { areaOfAddress } from './vm.ts';

/** Bits of a page-table entry of x86_64 by their names. */
const entryBits: readonly (readonly [bit: bigint, name: string])[] = [
  [0n, 'PRESENT'],
  [1n, 'RW'],
  [2n, 'USER'],
  [3n, 'PWT'],
  [4n, 'PCD'],
  [5n, 'ACCESSED'],
  [6n, 'DIRTY'],
  [7n, 'PSE'],
  [8n, 'GLOBAL'],
  [63n, 'NX'],
];
const frameMask = 0x000f_ffff_ffff_f000n;

export const vtop: Command = {
  name: 'vtop',
  usage: '[-c pid|task] [-u|-k] [address|symbol] ...',
  summary: 'translate a virtual address through the page tables',
  help: "  -u -k  of the context's process, of the kernel; without them the address decides\n  -c PID the process that -u means",
  *run(session, args) {
    const parsed = parseFlags(args, 'c:uk');
    const named = lastValue(parsed, 'c');
    const own = named === undefined ? session : session.at(tasksNamed(session, named)[0]!);
    if (parsed.positionals.length === 0) throw usageError('vtop: an address is expected');
    for (const word of parsed.positionals) {
      const address = addressOf(session, word);
      const isUser = hasOption(parsed, 'u') || (!hasOption(parsed, 'k') && address >> 63n === 0n);
      yield* walk(own, address, isUser);
      yield '';
    }
  },
};

function* walk(session: Session, address: bigint, isUser: boolean): Generator<string> {
  const { kernel, dump } = session;
  const memory = isUser ? userMemory(kernel, dump.physical, session.task) : kernel.core.memory;
  if (memory === undefined) throw usageError('vtop: the task has no memory of its own');
  if (isMissing(memory)) {
    yield `the page tables of the task are not in the dump ${missingText(memory)}`;
    return;
  }
  const place = memory.translate(address);
  const digits = isUser ? address.toString(16).padEnd(10) : hex(address);
  yield `${'VIRTUAL'.padEnd(digits.length)}  PHYSICAL`;
  yield `${digits}  ${shown(place, ({ paddr }) => paddr.toString(16)).replace('<unmapped>', '(not mapped)')}`;
  yield '';
  yield* tables(memory, address);
  if (isMissing(place)) return;
  yield '';
  if (isUser) yield* areaOfAddress(session, address);
  yield pageHeader;
  yield pageLine(kernel, place.paddr);
}

function* tables(memory: VirtualMemory, address: bigint): Generator<string> {
  const steps = memory.walkSteps(address);
  for (const { name, address: at, entry } of steps) {
    const value = entry === undefined ? '<not in the dump>' : entry.toString(16);
    yield `${name.padStart(6)}: ${at.toString(16)} => ${value}`;
  }
  const last = steps.at(-1);
  if (last?.entry !== undefined && (last.entry & 1n) !== 0n) yield* leafLines(last);
}

function* leafLines({ name, entry }: WalkStep): Generator<string> {
  const size = name === 'PUD' ? 30n : name === 'PMD' ? 21n : 12n;
  const frame = ((entry! & frameMask) >> size) << size;
  const flags = entryBits.filter(([bit]) => (entry! >> bit) & 1n).map(([, text]) => text);
  yield `  PAGE: ${frame.toString(16)}${size === 12n ? '' : size === 21n ? '  (2MB)' : '  (1GB)'}`;
  yield '';
  const word = entry!.toString(16);
  yield `${centred('PTE', word.length)}  PHYSICAL  FLAGS`;
  yield `${word}  ${frame.toString(16).padStart(8)}  (${flags.join('|')})`;
}
