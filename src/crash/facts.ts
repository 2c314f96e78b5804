import { known } from '../kernel/core.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { kernelLogRecords } from '../kernel/log.ts';
import { isMissing } from '../kernel/memory.ts';
import { lettersOfTaints } from '../kernel/modules.ts';
import type { PrintkRecord } from '../kernel/printk.ts';
import { escapeText } from '../kernel/printk-text.ts';
import { decodeUtsname, readUtsname } from '../kernel/utsname.ts';
import { memoryNodes } from '../kernel/zones.ts';
import { KdumpError } from '../lib/errors.ts';
import type { DumpFacts } from './session.ts';
import { panicLine } from './triage/reason.ts';

/** What can be known of a kernel at large; what cannot be told is undefined. */
export type SystemFacts = {
  readonly cpus: { readonly online: number; readonly offline: number };
  /** Seconds since the epoch at which it crashed; of a kernel that runs, now. */
  readonly date: number | undefined;
  /** Seconds. */
  readonly uptime: number | undefined;
  readonly loadAverage: readonly number[] | undefined;
  readonly tasks: number;
  readonly uts: ReturnType<typeof decodeUtsname> | undefined;
  readonly megahertz: number | undefined;
  /** Bytes. */
  readonly memory: number | undefined;
  readonly panic: string | undefined;
  /** Bits of tainted_mask, and their letters. */
  readonly taints: { readonly mask: bigint; readonly letters: string } | undefined;
  readonly commandLine: string | undefined;
};

export function systemFacts(kernel: Kernel, dump: Pick<DumpFacts, 'vmcoreinfo' | 'format'>): SystemFacts {
  const { core } = kernel;
  const uts = readUtsname(core.info, core.memory);
  const records = logRecords(kernel);
  const clock = kernelClock(kernel, records);
  const khz = u32(kernel, 'cpu_khz') || u32(kernel, 'tsc_khz');
  const mask = u64(kernel, 'tainted_mask');
  const commandLine = u64(kernel, 'saved_command_line');
  const text = commandLine ? kernel.text(commandLine) : undefined;
  return {
    cpus: {
      online: core.cpus('online').length,
      offline: Math.max(0, core.cpus('present').length - core.cpus('online').length),
    },
    date: momentOf(dump),
    uptime: clock && Number(clock.ticks) / clock.hz,
    loadAverage: loadAverage(kernel),
    tasks: kernel.tasks.length,
    uts: uts && decodeUtsname(uts),
    megahertz: khz ? Math.floor(khz / 1000) : undefined,
    memory: memoryPages(kernel)?.present,
    panic: panicLine(records.map(firstLine).join('\n')),
    taints: mask === undefined ? undefined : { mask, letters: lettersOfTaints(mask) },
    commandLine: known(text),
  };
}

const firstLine = ({ text }: PrintkRecord): string =>
  text === undefined ? '' : escapeText(text).split('\n')[0]!;

/** Seconds since the epoch at which memory was as it is seen: the crash; of a kernel that runs, now. */
export const momentOf = ({
  format,
  vmcoreinfo,
}: Pick<DumpFacts, 'vmcoreinfo' | 'format'>): number | undefined =>
  format === 'live' ? Math.floor(Date.now() / 1000) : vmcoreinfo.crashTime;

/** The kernel log, or nothing where it cannot be read. */
export function logRecords({ core }: Kernel): PrintkRecord[] {
  try {
    return kernelLogRecords(core.info, core.memory) ?? [];
  } catch (error) {
    if (error instanceof KdumpError) return [];
    throw error;
  }
}

/** Nanoseconds of the scheduler's clock at which a CPU last looked at it. */
export function runQueueClock(kernel: Kernel, cpu: number): bigint | undefined {
  const queue = known(kernel.perCpu('runqueues', cpu));
  if (queue === undefined || kernel.type('rq') === undefined) return undefined;
  return known(kernel.object('rq', queue).find('clock')?.integer());
}

const usualHz = [100, 250, 300, 1000] as const;
/** jiffies begin five minutes before their low half overflows (INITIAL_JIFFIES). */
const secondsBefore = 300;

/**
 * Timer ticks since boot, and how many a second has. Nothing in a kernel's memory tells HZ: of those that there are, it
 * is the one by which the ticks say what the scheduler's clock says.
 */
export function kernelClock(
  kernel: Kernel,
  records: readonly PrintkRecord[] = logRecords(kernel),
): { readonly ticks: bigint; readonly hz: number } | undefined {
  const jiffies = u64(kernel, 'jiffies_64');
  if (jiffies === undefined) return undefined;
  const clocks = kernel.cpus.map(({ cpu }) => runQueueClock(kernel, cpu) ?? 0n);
  const latest = [...clocks, records.at(-1)?.timestamp ?? 0n].reduce((a, b) => (a > b ? a : b), 0n);
  const seconds = Number(latest) / 1e9;
  const candidates = usualHz.map((hz) => {
    const ticks = jiffies - (2n ** 32n - BigInt(secondsBefore * hz));
    return { ticks, hz, error: Math.abs(Number(ticks) / hz - seconds) };
  });
  const best = candidates.filter(({ ticks }) => ticks >= 0n).sort((a, b) => a.error - b.error)[0];
  return best && { ticks: best.ticks, hz: best.hz };
}

/** avenrun: fixed-point numbers of 11 bits. crash rounds what it shows. */
function loadAverage(kernel: Kernel): number[] | undefined {
  const address = kernel.symbol('avenrun')?.address;
  const values = [0n, 8n, 16n].map((at) =>
    address === undefined ? undefined : known(kernel.core.u64(address + at)),
  );
  return values.some((value) => value === undefined)
    ? undefined
    : values.map((value) => Number(value) / 2048);
}

/** Bytes of memory: those that exist, and up to the highest. */
export function memoryPages(kernel: Kernel): { readonly present: number; readonly span: number } | undefined {
  const pageSize = kernel.core.info.pageSize ?? 4096;
  let [present, span] = [0, 0];
  for (const { object } of memoryNodes(kernel)) {
    const read = (member: string): number => known(object.find(member)?.number()) ?? 0;
    present += read('node_present_pages');
    span = Math.max(span, read('node_start_pfn') + read('node_spanned_pages'));
  }
  return present === 0 ? undefined : { present: present * pageSize, span: span * pageSize };
}

function u64(kernel: Kernel, symbol: string): bigint | undefined {
  const address = kernel.symbol(symbol)?.address;
  return address === undefined ? undefined : known(kernel.core.u64(address));
}

function u32(kernel: Kernel, symbol: string): number | undefined {
  const address = kernel.symbol(symbol)?.address;
  const value = address === undefined ? undefined : kernel.core.i32(address);
  return value === undefined || isMissing(value) ? undefined : value >>> 0;
}
