import { globalNumber } from '../../kernel/counters.ts';
import { hrtimerBases, type Timer, timerWheels } from '../../kernel/timers.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { cpusOf, parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { runQueueClock } from '../facts.ts';
import { nameOfAddress } from '../format/style.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';

export const timer: Command = {
  name: 'timer',
  usage: '[-r] [-C cpus]',
  summary: 'timers that are armed',
  help: '  -r  high-resolution timers, in nanoseconds, in place of those of the wheel, in jiffies',
  *run(session, args) {
    const parsed = parseFlags(args, 'rC:');
    const cpus = cpusOf(session, lastValue(parsed, 'C') ?? 'a');
    if (hasOption(parsed, 'r')) yield* highResolution(session, cpus);
    else yield* wheels(session, cpus);
  },
};

const called = ({ kernel }: Session, address: bigint): string => {
  const name = nameOfAddress(kernel, address);
  return `${hex(address)}${name === undefined ? '' : `  <${name}>`}`;
};

function* wheels(session: Session, cpus: readonly number[]): Generator<string> {
  const { kernel } = session;
  const now = globalNumber(kernel, 'jiffies') ?? globalNumber(kernel, 'jiffies_64');
  yield 'JIFFIES   ';
  yield now === undefined ? '(not in the dump)' : String(now);
  yield '';
  for (const cpu of cpus) {
    for (const { address, name, timers } of timerWheels(kernel, cpu)) {
      yield `TIMER_BASES[${cpu}][${name}]: ${hex(address)}`;
      if (timers.length === 0) {
        yield '  (none)';
        continue;
      }
      const left = ({ expires }: Timer): string => (now === undefined ? '?' : String(expires - now));
      const width = Math.max(...timers.map((each) => left(each).length), 4) + 1;
      yield `  EXPIRES        TTE${' '.repeat(width + 2)}TIMER_LIST     FUNCTION`;
      for (const each of timers)
        yield `  ${String(each.expires).padStart(10)}  ${left(each).padStart(width)}  ${hex(each.address)}  ${called(session, each.function)}`;
    }
    yield '';
  }
}

function* highResolution(session: Session, cpus: readonly number[]): Generator<string> {
  for (const cpu of cpus) {
    const bases = hrtimerBases(session.kernel, cpu);
    if (bases === undefined) continue;
    // The scheduler's clock: the kernel's own clocks are not to be had without its clock source.
    const now = runQueueClock(session.kernel, cpu);
    yield `CPU: ${cpu}  HRTIMER_CPU_BASE: ${hex(bases.address)}`;
    for (const [i, { address, name, timers }] of bases.clocks.entries()) {
      yield `  CLOCK: ${i}  HRTIMER_CLOCK_BASE: ${hex(address)}${name === '' ? '' : `  [${name}]`}`;
      if (timers.length === 0) yield '  (empty)';
      else yield* hrtimerLines(session, timers, now);
      yield '';
    }
  }
}

function* hrtimerLines(
  session: Session,
  timers: readonly Timer[],
  now: bigint | undefined,
): Generator<string> {
  const left = ({ expires }: Timer): string => (now === undefined ? '?' : String(expires - now));
  const width = Math.max(...timers.map(({ expires }) => String(expires).length), 11);
  const leftWidth = Math.max(...timers.map((each) => left(each).length), 5);
  yield '    CURRENT  ';
  yield `  ${now ?? '(unknown)'}`;
  yield `  ${'SOFTEXPIRES'.padEnd(width)}  ${'EXPIRES'.padEnd(width)}  ${'TTE'.padEnd(leftWidth)}  ${'HRTIMER'.padEnd(16)}  FUNCTION`;
  for (const each of timers) {
    const times = [each.softExpires, each.expires].map((time) => String(time).padStart(width));
    yield `  ${times.join('  ')}  ${left(each).padStart(leftWidth)}  ${hex(each.address)}  ${called(session, each.function)}`;
  }
}
