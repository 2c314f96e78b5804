import { known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import { directMapStart, vmemmapStart } from '../../kernel/page-of.ts';
import { taskStackBytes } from '../../kernel/stacks.ts';
import { hasOption } from '../../lib/getopt.ts';
import { parseFlags } from '../arguments.ts';
import { sizeText } from '../banner.ts';
import type { Command } from '../command.ts';
import { kernelClock, memoryPages, systemFacts } from '../facts.ts';
import type { Session } from '../session.ts';
import { hex, shown } from '../text.ts';

/** Entries of a memory map of the firmware. */
const mostEntries = 4096;
/** Stacks that crash(8) calls by another name. */
const stackNames: Readonly<Record<string, string>> = { DF: 'DOUBLEFAULT', DB: 'DEBUG' };

export const mach: Command = {
  name: 'mach',
  usage: '[-m]',
  summary: 'the machine: addresses at which the kernel has its parts, stacks of CPUs, memory by the firmware',
  help: [
    'HZ is what the clocks of the dump agree with; nothing in a kernel tells it. KASLR OFFSET is how far the image was',
    'moved from where it was linked: symbols are shown at the addresses that they had.',
    '  -m  memory as the firmware described it (e820)',
  ].join('\n'),
  *run(session, args) {
    if (hasOption(parseFlags(args, 'm'), 'm')) yield* firmwareMap(session.kernel);
    else yield* machineLines(session);
  },
};

const label = (name: string, text: string): string => `${name.padStart(22)}: ${text}`;

function* machineLines({ kernel, dump }: Session): Generator<string> {
  const { core } = kernel;
  const facts = systemFacts(kernel, dump);
  const pointer = (symbol: string): bigint | undefined => {
    const address = core.address(symbol);
    return address === undefined ? undefined : known(core.u64(address));
  };
  const offset = dump.vmcoreinfo.get('KERNELOFFSET');
  const memory = memoryPages(kernel)?.present;
  const vmalloc = pointer('vmalloc_base');
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['MACHINE TYPE', facts.uts?.machine],
    ['MEMORY SIZE', memory === undefined ? undefined : sizeText(memory)],
    ['CPUS', String(facts.cpus.online + facts.cpus.offline)],
    ['PROCESSOR SPEED', facts.megahertz === undefined ? undefined : `${facts.megahertz} Mhz`],
    ['HZ', kernelClock(kernel)?.hz.toString()],
    ['PAGE SIZE', String(core.info.pageSize ?? 4096)],
    ['KERNEL VIRTUAL BASE', hex(directMapStart(kernel))],
    ['KERNEL VMALLOC BASE', vmalloc === undefined ? undefined : hex(vmalloc)],
    ['KERNEL VMEMMAP BASE', hex(vmemmapStart(kernel))],
    ['KASLR OFFSET', offset],
    ['KERNEL STACK SIZE', String(taskStackBytes(core))],
  ];
  for (const [name, text] of rows) if (text !== undefined) yield label(name, text);
  yield* stackLines(kernel);
}

/** The stacks that each CPU has apart from those of tasks, one kind after the other. */
function* stackLines(kernel: Kernel): Generator<string> {
  const all = kernel.cpus.flatMap(({ cpu }) => kernel.stacks(cpu).map((stack) => ({ cpu, ...stack })));
  const kinds = new Set(all.filter(({ kind }) => kind !== 'entry').map(({ name }) => name));
  for (const kind of kinds) {
    const stacks = all.filter(({ name }) => name === kind);
    const name = stackNames[kind] ?? kind;
    yield label(`${name} STACK SIZE`, String(stacks[0]!.end - stacks[0]!.start));
    yield label(`${name} STACKS`, '').trimEnd();
    for (const { cpu, start } of stacks) {
      // Those of SEV guests are mapped in one only.
      const isMapped = !isMissing(kernel.core.memory.translate(start));
      yield label(`CPU ${cpu}`, `${hex(start)}${isMapped ? '' : ' [unavailable]'}`);
    }
  }
}

function* firmwareMap(kernel: Kernel): Generator<string> {
  const address = kernel.core.address('e820_table');
  const table = address === undefined ? undefined : known(kernel.core.u64(address));
  if (!table || kernel.type('e820_table') === undefined) {
    yield 'mach: this kernel keeps no memory map of the firmware';
    return;
  }
  const map = kernel.object('e820_table', table);
  const entries = map.member('entries');
  const count = known(map.member('nr_entries').number()) ?? 0;
  yield '      PHYSICAL ADDRESS RANGE         TYPE';
  for (let i = 0; i < Math.min(count, mostEntries, entries.type.bare.length); i++) {
    const entry = known(entries.at(i))!;
    const start = entry.member('addr').integer();
    const size = entry.member('size').integer();
    const end = typeof start === 'bigint' && typeof size === 'bigint' ? hex(start + size) : shown(size);
    yield `${shown(start, hex)} - ${end}  ${typeOf(entry.member('type').value())}`;
  }
}

const typeOf = (value: unknown): string =>
  typeof value === 'string' ? value.replace('E820_TYPE_', 'E820_') : String(value);
