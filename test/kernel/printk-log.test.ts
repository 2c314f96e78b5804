import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { kernelLog } from '../../src/kernel/log.ts';
import { readLogRecords } from '../../src/kernel/printk-log.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { flatMemory } from '../helpers/flat-memory.ts';

const at = { logBuf: 0, length: 8, first: 12, next: 16, clear: 20, end: 24, buffer: 4096 };
const symbol = (name: string, address: number): string => `SYMBOL(${name})=${address.toString(16)}\n`;
const buffer = symbol('log_buf', at.logBuf) + symbol('log_buf_len', at.length);
const struct = (name: string): string =>
  `SIZE(${name})=16\nOFFSET(${name}.ts_nsec)=0\nOFFSET(${name}.len)=8\nOFFSET(${name}.text_len)=10\n`;
const records =
  buffer +
  symbol('log_first_idx', at.first) +
  symbol('log_next_idx', at.next) +
  symbol('clear_idx', at.clear) +
  struct('printk_log');

/** A record log written as the kernel writes it (log_store() and log_make_free_space() of kernel/printk/printk.c, 4.19). */
class RecordLog {
  readonly bytes: Buffer;
  readonly size: number;
  #first = 0;
  #next = 0;
  #written = 0;
  readonly #live: { at: number; text: string }[] = [];

  constructor(size: number) {
    this.size = size;
    this.bytes = Buffer.alloc(at.buffer + size);
    this.bytes.writeBigUInt64LE(BigInt(at.buffer), at.logBuf);
    this.bytes.writeUInt32LE(size, at.length);
  }

  log(text: string): void {
    const length = Math.ceil((16 + text.length) / 4) * 4;
    // Room for the record and for the empty header that marks the end of the buffer.
    while (this.#live.length > 0 && !this.#hasRoom(length + 16)) {
      this.#live.shift();
      this.#first = this.#live[0]?.at ?? this.#next;
    }
    if (this.#next + length + 16 > this.size) {
      this.bytes.fill(0, at.buffer + this.#next, at.buffer + Math.min(this.size, this.#next + 16));
      this.#next = 0;
      if (this.#live.length === 0) this.#first = 0;
    }
    const where = at.buffer + this.#next;
    this.bytes.writeBigUInt64LE(BigInt(this.#written++) * 1_000_000n, where);
    this.bytes.writeUInt16LE(length, where + 8);
    this.bytes.writeUInt16LE(text.length, where + 10);
    this.bytes.write(text, where + 16, 'latin1');
    this.#live.push({ at: this.#next, text });
    this.#next += length;
    this.bytes.writeUInt32LE(this.#first, at.first);
    this.bytes.writeUInt32LE(this.#next, at.next);
  }

  /** What `dmesg -C` does. */
  clear(): void {
    this.bytes.writeUInt32LE(this.#next, at.clear);
  }

  /** What is in the log by now. */
  get texts(): string[] {
    return this.#live.map((record) => record.text);
  }

  #hasRoom(needed: number): boolean {
    const first = this.#first;
    const free = this.#next > first ? Math.max(this.size - this.#next, first) : first - this.#next;
    return free >= needed;
  }
}

const texts = (log: RecordLog, sinceClear = false): string[] =>
  readLogRecords(new Vmcoreinfo(records), flatMemory(log.bytes), sinceClear).map((record) =>
    Buffer.from(record.text!).toString('latin1'),
  );

describe('the records of 3.5 to 5.9', () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 120 }), { minLength: 1, maxLength: 60 });
  const textOf = (length: number, i: number): string => `${i}:`.padEnd(length + 3, 'x');

  test('come out as they went in, however often the buffer went round', () => {
    fc.assert(
      fc.property(lengths, (drawn) => {
        const log = new RecordLog(1024);
        for (const [i, length] of drawn.entries()) log.log(textOf(length, i));
        expect(texts(log)).toEqual(log.texts);
      }),
    );
  });

  test('since the last clear, when that is still in the buffer', () => {
    fc.assert(
      fc.property(lengths, lengths, (before, after) => {
        // Larger than all that is logged afterwards: nothing but a number tells a place that was overwritten.
        const log = new RecordLog(16384);
        for (const [i, length] of before.entries()) log.log(textOf(length, i));
        log.clear();
        for (const [i, length] of after.entries()) log.log(textOf(length, 1000 + i));
        const there = log.texts;
        const afterClear = there.filter((text) => text.startsWith('1') && Number.parseInt(text, 10) >= 1000);
        expect(texts(log, true)).toEqual(afterClear);
      }),
    );
  });

  test('are written with time and caller as the newer ones', () => {
    const log = new RecordLog(1024);
    log.log('first');
    log.log('second\nline');
    expect(kernelLog(new Vmcoreinfo(records), flatMemory(log.bytes))).toBe(
      '[    0.000000] first\n[    0.001000] second\n               line\n',
    );
  });

  test('of a struct log, as it was called before 3.11', () => {
    const log = new RecordLog(1024);
    log.log('old');
    const keys = records.replaceAll('printk_log', 'log');
    expect(kernelLog(new Vmcoreinfo(keys), flatMemory(log.bytes))).toContain('old');
  });

  test('end where the chain is broken, and go round a circle once', () => {
    const log = new RecordLog(1024);
    for (const text of ['one', 'two', 'three']) log.log(text);
    log.bytes.writeUInt32LE(9999, at.next);
    expect(texts(log)).toEqual(['one', 'two', 'three']);
    log.bytes.writeUInt16LE(65535, at.buffer + 20 + 8);
    expect(texts(log)).toEqual(['one', 'two']);
  });

  test('any bytes end in records or in one clear error', () => {
    const damage = fc.array(fc.tuple(fc.nat({ max: 8 }), fc.nat({ max: 0xffff })), { maxLength: 6 });
    fc.assert(
      fc.property(damage, fc.array(fc.tuple(fc.nat({ max: 1000 }), fc.nat({ max: 255 }))), (heads, bytes) => {
        const log = new RecordLog(1024);
        for (let i = 0; i < 30; i++) log.log(`record ${i}`);
        for (const [word, value] of heads) log.bytes.writeUInt16LE(value, word * 2 + 8);
        for (const [where, value] of bytes) log.bytes[at.buffer + where] = value;
        let outcome: unknown;
        try {
          outcome = kernelLog(new Vmcoreinfo(records), flatMemory(log.bytes), { partial: true }).length;
        } catch (error) {
          outcome = error instanceof KdumpError ? 0 : error;
        }
        // A record takes up 16 bytes at least, and is at most as long as the buffer.
        expect(outcome).toBeLessThanOrEqual(64 * 4 * 1100);
      }),
    );
  });
});

describe('the ring of bytes before 3.5', () => {
  const ring = (written: string, size: number): Buffer => {
    const bytes = Buffer.alloc(at.buffer + size);
    bytes.writeBigUInt64LE(BigInt(at.buffer), at.logBuf);
    bytes.writeUInt32LE(size, at.length);
    for (const [i, byte] of Buffer.from(written).entries()) bytes[at.buffer + (i % size)] = byte;
    bytes.writeUInt32LE(written.length, at.end);
    return bytes;
  };
  const keys = new Vmcoreinfo(buffer + symbol('log_end', at.end));

  test.each(['', 'short\n', 'exactly as long!', 'more than there is room for\n'])('holding %j', (written) => {
    expect(kernelLog(keys, flatMemory(ring(written, 16)))).toBe(written.slice(-16));
  });

  test('does not tell where it was cleared', () => {
    const told: string[] = [];
    const text = kernelLog(keys, flatMemory(ring('text\n', 16)), {
      partial: true,
      tell: (sentence) => told.push(sentence),
    });
    expect(text).toBe('text\n');
    expect(told.join()).toContain('the whole log is given');
  });

  test('of no length is refused', () => {
    const bytes = ring('x', 16);
    bytes.writeUInt32LE(0xffff_ffff, at.length);
    expect(() => kernelLog(keys, flatMemory(bytes))).toThrow('log_buf_len is 4294967295');
  });
});

test('a dump that describes no log says so', () => {
  expect(() => kernelLog(new Vmcoreinfo('OSRELEASE=x'), flatMemory(Buffer.alloc(8)))).toThrow(
    'describes no kernel log',
  );
});
