import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import { KdumpError } from '../lib/errors.ts';
import { isMissing, u64At, type VirtualMemory } from './memory.ts';
import { MemoryWindow } from './memory-window.ts';

/**
 * The kernel log of 5.10 and later: the lockless ring buffer of kernel/printk/printk_ringbuffer.h, found through
 * VMCOREINFO alone.
 *
 *   prb → { desc_ring { count_bits, descs, infos, head_id, tail_id }, text_data_ring { size_bits, data } }
 *   descriptor of id: descs[id % count], valid when its state_var holds that id and says committed or finalized
 *   text of a descriptor: data[begin .. next) modulo the ring, after an 8-byte copy of the id
 */
export type PrintkRecord = {
  readonly sequence: bigint;
  /** Nanoseconds since boot. */
  readonly timestamp: bigint;
  /** Bit 31 set: number of a CPU; clear: id of a thread. Undefined when the kernel keeps none. */
  readonly caller: number | undefined;
  /** Bytes as logged, without a newline at the end; undefined when the ring has lost them. */
  readonly text: Uint8Array | undefined;
  /** As syslog(3) numbers it, 0 to 7. */
  readonly level?: number;
  readonly facility?: number;
  /** What was logged along: 'SUBSYSTEM=pci', 'DEVICE=+pci:0000:00:01.0'. */
  readonly dictionary?: readonly string[];
};

/** The two top bits of state_var (enum desc_state). */
const stateShift = 62n;
const idMask = (1n << stateShift) - 1n;
const committed = 1n;
const finalized = 2n;
/** lpos of a record without data, and of one whose data block could not be allocated. */
const noDataLpos = 3n;
const dataIdSize = 8n;

/** Descriptors of the largest log there can be, 2 GiB: one for every 32 bytes of text. */
const maxCountBits = 26;
const maxSizeBits = 31;

/**
 * @param since leaves out records with a smaller sequence number
 * @throws KdumpError `no-log` naming what is missing or unreadable
 */
export function readPrintk(info: Vmcoreinfo, memory: VirtualMemory, since = 0n): PrintkRecord[] {
  const key = (name: string): number => {
    const value = name.startsWith('SIZE ') ? info.size(name.slice(5)) : info.offset(name);
    if (value === undefined)
      throw new KdumpError(
        'no-log',
        `VMCOREINFO has no ${name.startsWith('SIZE ') ? `SIZE(${name.slice(5)})` : `OFFSET(${name})`}`,
      );
    return value;
  };
  const read = (what: string, vaddr: bigint, length: number): Uint8Array => {
    const bytes = memory.read(vaddr, length);
    if (isMissing(bytes))
      throw new KdumpError('no-log', `${what} at 0x${vaddr.toString(16)} cannot be read: ${bytes.missing}`);
    return bytes;
  };
  const bits = (what: string, value: number, max: number): number => {
    if (value > max)
      throw new KdumpError('no-log', `printk_ringbuffer: ${what} is ${value}, expected at most ${max}`);
    return value;
  };

  const symbol = info.symbol('prb');
  if (symbol === undefined) {
    throw new KdumpError(
      'no-log',
      'VMCOREINFO has no SYMBOL(prb): the log is older than the ring buffer of Linux 5.10',
    );
  }
  const ringSize = key('SIZE printk_ringbuffer');
  const descRing = key('printk_ringbuffer.desc_ring');
  const textRing = key('printk_ringbuffer.text_data_ring');
  const counter = key('atomic_long_t.counter');
  const countBitsAt = descRing + key('prb_desc_ring.count_bits');
  const descsAt = descRing + key('prb_desc_ring.descs');
  const infosAt = descRing + key('prb_desc_ring.infos');
  const headAt = descRing + key('prb_desc_ring.head_id') + counter;
  const tailAt = descRing + key('prb_desc_ring.tail_id') + counter;
  const sizeBitsAt = textRing + key('prb_data_ring.size_bits');
  const dataAt = textRing + key('prb_data_ring.data');
  fits('printk_ringbuffer', ringSize, countBitsAt + 4, descsAt + 8, infosAt + 8, headAt + 8, tailAt + 8);
  fits('printk_ringbuffer', ringSize, sizeBitsAt + 4, dataAt + 8);
  const ring = read('printk_ringbuffer', u64At(read('prb', symbol, 8), 0), ringSize);

  const count = 2 ** bits('count_bits', u32At(ring, countBitsAt), maxCountBits);
  const descSize = key('SIZE prb_desc');
  const infoSize = key('SIZE printk_info');
  const descs = new MemoryWindow(memory, u64At(ring, descsAt), count * descSize);
  const infos = new MemoryWindow(memory, u64At(ring, infosAt), count * infoSize);
  const head = u64At(ring, headAt) & idMask;
  const tail = u64At(ring, tailAt) & idMask;

  const sizeBits = bits('size_bits', u32At(ring, sizeBitsAt), maxSizeBits);
  const text = new MemoryWindow(memory, u64At(ring, dataAt), 2 ** sizeBits);

  const stateVar = key('prb_desc.state_var') + counter;
  const begin = key('prb_desc.text_blk_lpos') + key('prb_data_blk_lpos.begin');
  const next = key('prb_desc.text_blk_lpos') + key('prb_data_blk_lpos.next');
  fits('prb_desc', descSize, stateVar + 8, begin + 8, next + 8);
  const sequenceAt = key('printk_info.seq');
  const timestamp = key('printk_info.ts_nsec');
  const textLength = key('printk_info.text_len');
  const caller = info.offset('printk_info.caller_id');
  // Not exported: the types tell where they are known.
  const device = info.offset('printk_info.dev_info');
  fits('printk_info', infoSize, sequenceAt + 8, timestamp + 8, textLength + 2, (caller ?? 0) + 4);
  fits('printk_info', infoSize, textLength + 4, (device ?? 0) + (device === undefined ? 0 : deviceBytes));

  const records: PrintkRecord[] = [];
  let seen = 0;
  let unreadable = false;
  // Never more than the ring holds, whatever head and tail say.
  const ids = Math.min(count, Number((head - tail) & idMask) + 1);
  for (let n = 0; n < ids; n++) {
    const id = (tail + BigInt(n)) & idMask;
    const slot = Number(id % BigInt(count));
    const desc = descs.bytes(slot * descSize, descSize);
    if (desc === undefined) {
      unreadable = true;
      // On to the first descriptor of the next page, or of the ring's next lap.
      const skipTo = Math.min(count, Math.ceil(descs.nextPage(slot * descSize) / descSize));
      n += Math.max(0, skipTo - slot - 1);
      continue;
    }
    const state = u64At(desc, stateVar);
    const phase = state >> stateShift;
    if ((state & idMask) !== id || (phase !== committed && phase !== finalized)) continue;
    const from = u64At(desc, begin);
    const to = u64At(desc, next);
    const record = infos.bytes(slot * infoSize, infoSize);
    if (record === undefined) {
      unreadable = true;
      continue;
    }
    seen++;
    const sequence = u64At(record, sequenceAt);
    if (sequence < since) continue;
    records.push({
      sequence,
      timestamp: u64At(record, timestamp),
      caller: caller === undefined ? undefined : u32At(record, caller),
      text: recordText(text, sizeBits, from, to, u16At(record, textLength)),
      // The members behind text_len, as they always were: u8 facility, u8 flags:5, u8 level:3.
      facility: record[textLength + 2]!,
      level: record[textLength + 3]! >> 5,
      dictionary: device === undefined ? [] : deviceEntries(record.subarray(device, device + deviceBytes)),
    });
  }
  // What is lost in part is better than nothing; nothing at all must not pass for an empty log.
  if (seen === 0 && unreadable)
    throw new KdumpError('no-log', 'the descriptors of the kernel log cannot be read');
  return records;
}

/** struct dev_printk_info: char subsystem[16], device[48]. */
const deviceBytes = 64;
const deviceNameAt = 16;

function deviceEntries(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes).toString('latin1');
  return [
    `SUBSYSTEM=${text.slice(0, deviceNameAt).replace(/\0.*$/s, '')}`,
    `DEVICE=${text.slice(deviceNameAt).replace(/\0.*$/s, '')}`,
  ].filter((entry) => !entry.endsWith('='));
}

/** Refuses a description of the log in which a member lies outside its structure. */
function fits(struct: string, size: number, ...ends: readonly number[]): void {
  const worst = Math.max(...ends);
  if (worst > size || size > maxStruct)
    throw new KdumpError('no-log', `VMCOREINFO: SIZE(${struct}) is ${size}, its members reach to ${worst}`);
}

/** More than any structure of the log has. */
const maxStruct = 65536;

/**
 * Sequence number of the first record that `dmesg -C` has not cleared; undefined when the kernel does not export it.
 * From 5.12 on it is a latch: a counter whose parity says which of two copies is whole (include/linux/seqlock.h).
 */
export function clearedUpTo(info: Vmcoreinfo, memory: VirtualMemory): bigint | undefined {
  const symbol = info.symbol('clear_seq');
  if (symbol === undefined) return undefined;
  const first = memory.read(symbol, 8);
  if (isMissing(first)) return undefined;
  const values = info.offset('latched_seq.val');
  if (values === undefined) return u64At(first, 0);
  const copy = memory.read(symbol + BigInt(values + (first[0]! & 1) * 8), 8);
  return isMissing(copy) ? undefined : u64At(copy, 0);
}

/**
 * Text between two logical positions of the data ring. A block that would cross the end of the ring starts again at
 * its beginning. Whether it did is told by the position of its last byte, `next - 1`: newer kernels let a block end
 * exactly at the end of the ring, and comparing `next` itself (as the C tools do) then shows another record's text.
 */
function recordText(
  ring: MemoryWindow,
  sizeBits: number,
  begin: bigint,
  next: bigint,
  length: number,
): Uint8Array | undefined {
  if ((begin & 1n) === 1n && (next & 1n) === 1n) {
    return begin === noDataLpos && next === noDataLpos ? new Uint8Array(0) : undefined;
  }
  const bits = BigInt(sizeBits);
  const size = 1n << bits;
  const lap = (lpos: bigint): bigint => BigInt.asUintN(64, lpos) >> bits;
  let at: bigint;
  let room: bigint;
  if (lap(begin) === lap(next - 1n)) {
    at = begin & (size - 1n);
    room = BigInt.asUintN(64, next - begin);
  } else if (lap(begin + size) === lap(next - 1n)) {
    at = 0n;
    room = next & (size - 1n);
  } else {
    return undefined;
  }
  if (room < dataIdSize) return undefined;
  const start = Number(at + dataIdSize);
  // A block of more than the ring holds is no block; the window refuses what lies beyond its end.
  const wanted = room - dataIdSize < BigInt(length) ? Number(room - dataIdSize) : length;
  return ring.bytes(start, wanted)?.slice();
}

const u32At = (bytes: Uint8Array, offset: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset, true);
const u16At = (bytes: Uint8Array, offset: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(offset, true);
