import { kernelLog, kernelLogRecords } from '../../kernel/log.ts';
import type { PrintkRecord } from '../../kernel/printk.ts';
import { escapeText, formatCaller, timeOf } from '../../kernel/printk-text.ts';
import { hasOption } from '../../lib/getopt.ts';
import { parseFlags } from '../arguments.ts';
import { dateText } from '../banner.ts';
import type { Command } from '../command.ts';
import { kernelClock, momentOf } from '../facts.ts';
import type { Session } from '../session.ts';

const letters = 'tTdmca';

export const log: Command = {
  name: 'log',
  aliases: ['dmesg'],
  usage: '[-t | -T] [-m] [-c] [-d] [-a]',
  summary: 'the kernel log, to its last line',
  help: `  -t   without the time of each message
  -T   with the time of day instead of the time since boot
  -m   with the level of each: <3>
  -c   with who logged it: [T1] thread 1, [C0] CPU 0
  -d   with what was logged along: subsystem and device
  -a   what the audit subsystem had not sent to its daemon yet

  log | tail -n 30`,
  *run(session, args) {
    const parsed = parseFlags(args, letters);
    if (hasOption(parsed, 'a')) yield* audit(session);
    else yield* logLines(session, (letter) => hasOption(parsed, letter));
  },
  json: ({ kernel: { core } }) =>
    (kernelLogRecords(core.info, core.memory) ?? []).map(({ text, ...rest }) => ({
      ...rest,
      text: text === undefined ? null : Buffer.from(text).toString('utf8'),
    })),
};

function* logLines(session: Session, wants: (letter: string) => boolean): Generator<string> {
  const { core } = session.kernel;
  const records = kernelLogRecords(core.info, core.memory);
  if (records === undefined) {
    yield* kernelLog(core.info, core.memory).trimEnd().split('\n');
    return;
  }
  const booted = wants('T') ? bootTime(session) : undefined;
  for (const record of records) {
    const time = wants('t') ? '' : timeText(record, booted);
    const caller = record.caller === undefined ? '' : formatCaller(record.caller);
    const who = wants('c') && caller !== '' ? `[${caller.padStart(6)}] ` : '';
    const level = wants('m') && record.level !== undefined ? `<${record.level}>` : '';
    const indent = ' '.repeat(time.length + who.length + level.length);
    const text = record.text === undefined ? '<lost>' : escapeText(record.text);
    const [first = '', ...others] = text.split('\n');
    yield time + who + level + first;
    for (const line of others) yield indent + line;
    if (wants('d')) for (const entry of record.dictionary ?? []) yield indent + entry;
  }
}

function timeText(record: PrintkRecord, booted: number | undefined): string {
  if (booted !== undefined) return `[${dateText(booted + Number(record.timestamp / 1_000_000_000n))}] `;
  return timeOf(record);
}

/** Seconds since the epoch; undefined when the dump does not tell when it crashed. */
function bootTime({ kernel, dump }: Session): number | undefined {
  const moment = momentOf(dump);
  const clock = kernelClock(kernel);
  return moment === undefined || clock === undefined
    ? undefined
    : moment - Number(clock.ticks / BigInt(clock.hz));
}

/** Messages that wait in a queue of struct sk_buff: each one a netlink header, then text. */
function* audit({ kernel }: Session): Generator<string> {
  const headerBytes = 16n;
  const head = kernel.symbol('audit_queue');
  const { entries } =
    head === undefined ? { entries: [] } : kernel.listEntries(head.address, 'sk_buff', 'list');
  if (entries.length === 0) yield 'log: kernel audit log is empty';
  for (const buffer of entries) {
    const data = buffer.member('data').integer();
    const text = typeof data === 'bigint' ? kernel.text(data + headerBytes) : data;
    yield typeof text === 'string' ? text : `<${text.missing}>`;
  }
}
