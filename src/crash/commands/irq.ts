import { known } from '../../kernel/core.ts';
import { globalNumber } from '../../kernel/counters.ts';
import { interruptVectors } from '../../kernel/interrupt-vectors.ts';
import { affinityOf, type Interrupt, interruptCount, interrupts } from '../../kernel/interrupts.ts';
import type { KernelObject } from '../../kernel/object.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { cpusOf, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { nameOfAddress } from '../format/style.ts';
import type { Session } from '../session.ts';
import { centred, hex, shown } from '../text.ts';

export const irq: Command = {
  name: 'irq',
  usage: '[-u | -a | -b | -d | -s [-c cpus]] [number ...]',
  summary: 'interrupts and their handlers',
  help: [
    '  -u       those in use alone',
    '  -a       which CPUs they go to',
    '  -b       softirqs',
    '  -d       handlers of the interrupt descriptor table, by vector',
    '  -s       how often each came, by CPU',
    '  -c CPUS  of these CPUs alone: 1, 0,2 or 1-3',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 'uabdsc:');
    const all = interrupts(session.kernel);
    const numbers = parsed.positionals.map(Number);
    const wanted = all.filter(({ number }) => numbers.length === 0 || numbers.includes(number));
    if (hasOption(parsed, 'b')) yield* softirqs(session);
    else if (hasOption(parsed, 'd')) yield* vectorLines(session);
    else if (hasOption(parsed, 'a')) yield* affinities(session, wanted);
    else if (hasOption(parsed, 's')) yield* counts(session, wanted, lastValue(parsed, 'c') ?? 'a');
    else yield* table(session, wanted, numbers, hasOption(parsed, 'u'));
  },
};

const unused = centred('(unused)', 16);

function* table(
  { kernel }: Session,
  all: readonly Interrupt[],
  numbers: readonly number[],
  inUse: boolean,
): Generator<string> {
  yield ' IRQ   IRQ_DESC/_DATA      IRQACTION      NAME';
  const byNumber = new Map(all.map((each) => [each.number, each]));
  const count = Math.min(
    Number(globalNumber(kernel, 'nr_irqs', 4) ?? globalNumber(kernel, 'total_nr_irqs', 4) ?? 0n),
    8192,
  );
  const rows =
    numbers.length > 0 ? numbers : inUse ? [...byNumber.keys()] : Array.from({ length: count }, (_, i) => i);
  for (const number of rows) {
    const found = byNumber.get(number);
    const start = ` ${String(number).padStart(2)}`.padEnd(6);
    if (found === undefined) yield `${start}${unused}  ${unused}`;
    else if (found.actions.length === 0) yield `${start}${hex(found.object.address)}  ${unused}`;
    for (const [i, action] of (found?.actions ?? []).entries()) {
      const front = i === 0 ? `${start}${hex(found!.object.address)}` : ' '.repeat(22);
      yield `${front}  ${hex(action.address)}  "${nameOf(action)}"`;
    }
  }
}

const nameOf = (action: KernelObject | undefined): string =>
  action === undefined ? '' : shown(action.member('name').text());

function* affinities({ kernel }: Session, all: readonly Interrupt[]): Generator<string> {
  yield `IRQ NAME                 AFFINITY`;
  for (const each of all) {
    if (each.actions.length === 0) continue;
    yield `${String(each.number).padStart(3)} ${nameOf(each.actions[0]).padEnd(20)} ${rangesOf(affinityOf(kernel, each))}`;
  }
}

/** '0-3,8' */
export function rangesOf(numbers: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

function* counts(session: Session, all: readonly Interrupt[], cpus: string): Generator<string> {
  const { kernel } = session;
  const wanted = cpusOf(session, cpus);
  yield `     ${wanted.map((cpu) => `CPU${cpu}`.padStart(10)).join(' ')} `;
  for (const each of all) {
    if (each.actions.length === 0) continue;
    const numbers = wanted.map((cpu) => String(interruptCount(kernel, each, cpu) ?? '?').padStart(10));
    const chip = known(each.object.member('irq_data.chip').deref());
    const chipName = chip === undefined ? '?' : shown(chip.member('name').text());
    const flow = each.object.member('name').text();
    const name = typeof flow === 'string' ? flow : '';
    const names = each.actions.map(nameOf).join(',');
    yield `${String(each.number).padStart(3)}: ${numbers.join(' ')} ${chipName.padStart(8)}-${name.padEnd(8)} ${names}`;
  }
}

function* softirqs({ kernel }: Session): Generator<string> {
  const start = kernel.core.address('softirq_vec');
  const size = BigInt(kernel.core.type('softirq_action')?.size ?? 8);
  const constants = kernel.core.btf?.enumerator('NR_SOFTIRQS') ?? 10n;
  yield 'SOFTIRQ_VEC      ACTION     ';
  for (let i = 0n; start !== undefined && i < constants; i++) {
    const action = kernel.core.u64(start + i * size);
    const name = typeof action === 'bigint' ? nameOfAddress(kernel, action) : undefined;
    yield `    [${i}]     ${shown(action, hex)}${name === undefined ? '' : `  <${name}>`}`;
  }
}

function* vectorLines({ kernel }: Session): Generator<string> {
  const handlers = interruptVectors(kernel);
  if (handlers === undefined)
    throw usageError('irq: this kernel has no interrupt descriptor table of x86_64');
  for (const [vector, handler] of handlers.entries())
    yield `${`[${vector}]`.padStart(5)} ${shown(handler, (address) => nameOfAddress(kernel, address) ?? hex(address))}`;
}
