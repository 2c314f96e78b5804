import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { KdumpError } from '../lib/errors.ts';
import { isMissing, u64At, type VirtualMemory } from './memory.ts';
import { MemoryWindow } from './memory-window.ts';
import type { PrintkRecord } from './printk.ts';

/**
 * Kernel logs before 5.10, both in a buffer `log_buf` of `log_buf_len` bytes (kernel/printk/printk.c of their time).
 *
 * Since 3.5, records: struct printk_log (struct log before 3.11) { ts_nsec, len, text_len, … }, then the text; `len` is
 * what it takes up with everything. They go from log_first_idx to log_next_idx; one of length 0 says that the next is
 * at the beginning of the buffer. Before 3.5, a ring of bytes: log_end counts all that were ever written.
 */

/** Lengths of the buffer beyond this are no lengths (LOG_BUF_LEN_MAX). */
const maxLogBytes = 2 ** 31;
/** A byte ring is held whole: it never was larger than the sixteen megabytes of CONFIG_LOG_BUF_SHIFT's maximum. */
const maxByteRing = 2 ** 24;
const maxHeader = 4096;

/** Whether the log is of the kind that has records. */
export function hasRecords(info: Vmcoreinfo): boolean {
  return info.symbol('log_first_idx') !== undefined && info.symbol('log_next_idx') !== undefined;
}

/**
 * The records of a log of 3.5 to 5.9. `sequence` counts from the oldest that is there.
 * @param sinceClear only those after the last `dmesg -C`; all of them when it cleared nothing that is still there
 * @throws KdumpError `no-log` naming what is missing or unreadable
 */
export function readLogRecords(info: Vmcoreinfo, memory: VirtualMemory, sinceClear: boolean): PrintkRecord[] {
  const struct = info.size('printk_log') === undefined ? 'log' : 'printk_log';
  const required = (value: number | undefined, key: string): number => {
    if (value === undefined) throw new KdumpError('no-log', `VMCOREINFO has no ${key}`);
    return value;
  };
  const member = (name: string): number =>
    required(info.offset(`${struct}.${name}`), `OFFSET(${struct}.${name})`);
  const headerSize = required(info.size(struct), `SIZE(${struct})`);
  const timestampAt = member('ts_nsec');
  const lengthAt = member('len');
  const textLengthAt = member('text_len');
  const callerAt = info.offset(`${struct}.caller_id`);
  const reach = Math.max(timestampAt + 8, lengthAt + 2, textLengthAt + 2, (callerAt ?? 0) + 4);
  if (headerSize > maxHeader || reach > headerSize)
    throw new KdumpError(
      'no-log',
      `VMCOREINFO: SIZE(${struct}) is ${headerSize}, its members reach to ${reach}`,
    );

  const { window, size } = logBuffer(info, memory);
  const first = readU32(info, memory, 'log_first_idx');
  const end = readU32(info, memory, 'log_next_idx');
  const cleared =
    sinceClear && info.symbol('clear_idx') !== undefined ? readU32(info, memory, 'clear_idx') : first;

  let records: PrintkRecord[] = [];
  let sequence = 0n;
  let at = first;
  // A chain that comes back to where it was goes in a circle: the buffer was overwritten, or is none.
  const visited = new Set<number>();
  while (!visited.has(at)) {
    // Records before the place of the last clear do not count; a place that no record begins at is overwritten by now.
    if (at === cleared && sinceClear) records = [];
    if (at === end) return records;
    visited.add(at);
    let header = window.bytes(at, headerSize);
    if (header !== undefined && u16At(header, lengthAt) === 0) {
      // The rest of the buffer was too small for the next record.
      if (cleared === 0 && sinceClear) records = [];
      if (end === 0) return records;
      if (visited.has(0)) break;
      at = 0;
      visited.add(0);
      header = window.bytes(0, headerSize);
    }
    // A chain that leads out of the buffer, or to what cannot be read: what came before it is good.
    if (header === undefined) break;
    const length = u16At(header, lengthAt);
    const textLength = u16At(header, textLengthAt);
    if (length < headerSize + textLength) break;
    const timestamp = u64At(header, timestampAt);
    const caller = callerAt === undefined ? undefined : u32At(header, callerAt);
    const text = window.bytes(at + headerSize, textLength)?.slice();
    // Behind text_len: u16 dict_len, u8 facility, u8 flags:5, u8 level:3; the dictionary follows the text.
    const hasMore = textLengthAt + 6 <= headerSize;
    const dictionary = window.bytes(
      at + headerSize + textLength,
      hasMore ? Math.min(u16At(header, textLengthAt + 2), length - headerSize - textLength) : 0,
    );
    records.push({
      sequence,
      timestamp,
      caller,
      text,
      dictionary: dictionary === undefined ? [] : entriesOf(dictionary),
      ...(hasMore ? { facility: header[textLengthAt + 4]!, level: header[textLengthAt + 5]! >> 5 } : {}),
    });
    sequence++;
    at += length;
  }
  if (records.length === 0)
    throw new KdumpError('no-log', `the record of the kernel log at offset ${at} of ${size} cannot be read`);
  return records;
}

/**
 * The text of a log before 3.5, oldest byte first.
 * @throws KdumpError `no-log` naming what is missing or unreadable
 */
export function readByteRing(info: Vmcoreinfo, memory: VirtualMemory): Uint8Array {
  const { address, size } = logBuffer(info, memory);
  if (size > maxByteRing) throw new KdumpError('no-log', `log_buf_len is ${size}: not a length of a log`);
  // An unsigned long before 2.6.25; its low half is what counts in a ring.
  const end = readU32(info, memory, 'log_end');
  const bytes = memory.read(address, Math.min(end, size));
  if (isMissing(bytes))
    throw new KdumpError('no-log', `log_buf at 0x${address.toString(16)} cannot be read: ${bytes.missing}`);
  if (end <= size) return bytes;
  const oldest = end % size;
  return Buffer.concat([bytes.subarray(oldest), bytes.subarray(0, oldest)]);
}

const entriesOf = (bytes: Uint8Array): string[] =>
  Buffer.from(bytes)
    .toString('latin1')
    .split('\0')
    .filter((entry) => entry !== '');

function logBuffer(
  info: Vmcoreinfo,
  memory: VirtualMemory,
): { window: MemoryWindow; address: bigint; size: number } {
  const address = u64At(read(info, memory, 'log_buf', 8), 0);
  const size = readU32(info, memory, 'log_buf_len');
  if (size === 0 || size > maxLogBytes)
    throw new KdumpError('no-log', `log_buf_len is ${size}: not a length of a log`);
  return { window: new MemoryWindow(memory, address, size), address, size };
}

const readU32 = (info: Vmcoreinfo, memory: VirtualMemory, name: string): number =>
  u32At(read(info, memory, name, 4), 0);

function read(info: Vmcoreinfo, memory: VirtualMemory, name: string, length: number): Uint8Array {
  const symbol = info.symbol(name);
  if (symbol === undefined) throw new KdumpError('no-log', `VMCOREINFO has no SYMBOL(${name})`);
  const bytes = memory.read(symbol, length);
  if (isMissing(bytes))
    throw new KdumpError('no-log', `${name} at 0x${symbol.toString(16)} cannot be read: ${bytes.missing}`);
  return bytes;
}

const u32At = (bytes: Uint8Array, offset: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset, true);
const u16At = (bytes: Uint8Array, offset: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(offset, true);
