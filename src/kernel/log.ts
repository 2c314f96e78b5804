import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { KdumpError } from '../lib/errors.ts';
import type { VirtualMemory } from './memory.ts';
import { clearedUpTo, type PrintkRecord, readPrintk } from './printk.ts';
import { hasRecords, readByteRing, readLogRecords } from './printk-log.ts';
import { formatPlain, formatPrintk } from './printk-text.ts';

export type LogOptions = {
  /** Only what was logged since the last `dmesg -C`. */
  readonly partial?: boolean;
  /** As vmcore-dmesg writes it: without callers, and nothing in front of the second line of a message. */
  readonly plain?: boolean;
  /** Receives one sentence when that cannot be told and the whole log is given. */
  readonly tell?: (text: string) => void;
};

/**
 * The kernel log of whatever kind, as the text that `makedumpfile --dump-dmesg` writes, or vmcore-dmesg. What VMCOREINFO exports says
 * which kind it is. Each character is one byte (latin1): text before 3.5 comes as it was logged, in any encoding.
 * @throws KdumpError `no-log` naming what is missing or unreadable
 */
export function kernelLog(info: Vmcoreinfo, memory: VirtualMemory, options: LogOptions = {}): string {
  const partial = options.partial ?? false;
  const format = options.plain === true ? formatPlain : formatPrintk;
  const whole = (why: string): void => options.tell?.(`${why}; the whole log is given.`);
  if (info.symbol('prb') !== undefined) {
    const since = partial ? clearedUpTo(info, memory) : 0n;
    if (since === undefined) whole('The dump does not tell where the log was cleared (clear_seq)');
    return format(readPrintk(info, memory, since));
  }
  if (hasRecords(info)) {
    if (partial && info.symbol('clear_idx') === undefined)
      whole('VMCOREINFO does not tell where the log was cleared (clear_idx)');
    return format(readLogRecords(info, memory, partial));
  }
  if (info.symbol('log_end') !== undefined) {
    if (partial) whole('A kernel before 3.5 does not tell where its log was cleared');
    return Buffer.from(readByteRing(info, memory)).toString('latin1');
  }
  throw new KdumpError(
    'no-log',
    'VMCOREINFO describes no kernel log: none of prb (5.10 and later), log_first_idx (3.5 and later), log_end',
  );
}

/**
 * The records of the kernel log, the oldest first; undefined when it is one of bytes alone (before 3.5).
 * @throws KdumpError `no-log` naming what is missing or unreadable
 */
export function kernelLogRecords(info: Vmcoreinfo, memory: VirtualMemory): PrintkRecord[] | undefined {
  if (info.symbol('prb') !== undefined) return readPrintk(info, memory);
  return hasRecords(info) ? readLogRecords(info, memory, false) : undefined;
}
