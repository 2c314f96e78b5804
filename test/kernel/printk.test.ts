import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { clearedUpTo, readPrintk } from '../../src/kernel/printk.ts';
import { formatPrintk } from '../../src/kernel/printk-text.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { flatMemory } from '../helpers/flat-memory.ts';

/**
 * A ring buffer written as the kernel writes it (kernel/printk/printk_ringbuffer.c): data blocks of 8 bytes of id and
 * text, aligned to 8, starting over at the beginning of the ring when they would cross its end.
 */
class Ring {
  readonly bytes = Buffer.alloc(65536);
  readonly countBits = 4;
  readonly sizeBits: number;
  /** Whether a block may end exactly at the end of the ring (kernels after 6.18). */
  readonly exactFit: boolean;
  #id = 0n;
  #lpos = 0n;
  static readonly at = { prb: 0, rb: 8, descs: 1024, infos: 4096, data: 16384 };

  constructor(sizeBits: number, exactFit: boolean) {
    this.sizeBits = sizeBits;
    this.exactFit = exactFit;
    const { at } = Ring;
    this.bytes.writeBigUInt64LE(BigInt(at.rb), at.prb);
    this.bytes.writeUInt32LE(this.countBits, at.rb);
    this.bytes.writeBigUInt64LE(BigInt(at.descs), at.rb + 8);
    this.bytes.writeBigUInt64LE(BigInt(at.infos), at.rb + 16);
    this.bytes.writeUInt32LE(sizeBits, at.rb + 48);
    this.bytes.writeBigUInt64LE(BigInt(at.data), at.rb + 56);
  }

  log(text: Buffer, options: { state?: bigint; lpos?: [bigint, bigint] } = {}): void {
    const { at } = Ring;
    const size = 1n << BigInt(this.sizeBits);
    const block = BigInt(Math.ceil((text.length + 8) / 8) * 8);
    const begin = this.#lpos;
    let next = begin + block;
    let place = begin;
    const lap = (lpos: bigint): bigint => lpos / size;
    if (lap(begin) !== lap(this.exactFit ? next - 1n : next)) {
      // It would cross the end: it lies at the beginning of the next lap.
      place = lap(next) * size;
      next = place + block;
    }
    if (options.lpos === undefined) {
      this.#lpos = next;
      const where = at.data + Number(place % size);
      this.bytes.writeBigUInt64LE(this.#id, where);
      text.copy(this.bytes, where + 8);
    }
    const slot = Number(this.#id % BigInt(1 << this.countBits));
    const [from, to] = options.lpos ?? [begin, next];
    this.bytes.writeBigUInt64LE(((options.state ?? 2n) << 62n) | this.#id, at.descs + slot * 24);
    this.bytes.writeBigUInt64LE(from, at.descs + slot * 24 + 8);
    this.bytes.writeBigUInt64LE(to, at.descs + slot * 24 + 16);
    const info = at.infos + slot * 88;
    this.bytes.writeBigUInt64LE(this.#id, info);
    this.bytes.writeBigUInt64LE(this.#id * 1_500_000_000n, info + 8);
    this.bytes.writeUInt16LE(text.length, info + 16);
    this.bytes.writeUInt32LE(1, info + 20);
    this.bytes.writeBigUInt64LE(this.#id, at.rb + 24);
    const count = BigInt(1 << this.countBits);
    this.bytes.writeBigUInt64LE(this.#id >= count ? this.#id - count + 1n : 0n, at.rb + 32);
    this.#id++;
  }

  /** Logical position of the next block, within the ring. */
  get position(): number {
    return Number(this.#lpos % (1n << BigInt(this.sizeBits)));
  }

  /** @param lost pages of `bytes` that the dump lacks */
  read(since = 0n, lost: readonly number[] = []) {
    return readPrintk(new Vmcoreinfo(info), flatMemory(this.bytes, lost), since);
  }

  get texts(): (string | undefined)[] {
    return this.read().map((record) => record.text && Buffer.from(record.text).toString('latin1'));
  }
}

const info = `SYMBOL(prb)=0
SIZE(printk_ringbuffer)=88
OFFSET(printk_ringbuffer.desc_ring)=0
OFFSET(printk_ringbuffer.text_data_ring)=48
OFFSET(prb_desc_ring.count_bits)=0
OFFSET(prb_desc_ring.descs)=8
OFFSET(prb_desc_ring.infos)=16
OFFSET(prb_desc_ring.head_id)=24
OFFSET(prb_desc_ring.tail_id)=32
SIZE(prb_desc)=24
OFFSET(prb_desc.state_var)=0
OFFSET(prb_desc.text_blk_lpos)=8
OFFSET(prb_data_blk_lpos.begin)=0
OFFSET(prb_data_blk_lpos.next)=8
SIZE(printk_info)=88
OFFSET(printk_info.seq)=0
OFFSET(printk_info.ts_nsec)=8
OFFSET(printk_info.text_len)=16
OFFSET(printk_info.caller_id)=20
OFFSET(prb_data_ring.size_bits)=0
OFFSET(prb_data_ring.data)=8
OFFSET(atomic_long_t.counter)=0
`;

test('records come out as they went in, whatever their lengths and however often the ring went round', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(lengths, fc.boolean(), (drawn, exactFit) => {
      const ring = new Ring(12, exactFit);
      const logged = drawn.map((length, i) =>
        Buffer.from(`${i}:`.padEnd(length, String.fromCharCode(97 + (i % 26)))).subarray(0, length),
      );
      for (const text of logged) ring.log(text);
      expect(ring.texts).toEqual(logged.slice(-16).map((text) => text.toString('latin1')));
    }),
  );
});

test("a record that ends exactly at the end of the ring is its own text, not its neighbour's", () => {
  const ring = new Ring(10, true);
  ring.log(Buffer.from('first'.padEnd(504, 'x')));
  ring.log(Buffer.from('fits'.padEnd(504, 'y')));
  expect(ring.position).toBe(0);
  ring.log(Buffer.from('next one'));
  expect(ring.texts.slice(1)).toEqual(['fits'.padEnd(504, 'y'), 'next one']);
});

test('records without text, lost ones, and ones still being written', () => {
  const ring = new Ring(12, false);
  ring.log(Buffer.alloc(0), { lpos: [3n, 3n] });
  ring.log(Buffer.from('gone'), { lpos: [1n, 1n] });
  ring.log(Buffer.from('reserved'), { state: 0n });
  ring.log(Buffer.from('reusable'), { state: 3n });
  ring.log(Buffer.from('committed'), { state: 1n });
  expect(ring.texts).toEqual(['', undefined, 'committed']);
});

test('the text is that of makedumpfile --dump-dmesg, but bytes above 0x7f are one byte each', () => {
  const ring = new Ring(12, false);
  ring.log(Buffer.from('one\ntwo'));
  ring.log(Buffer.from('tab\tbell\x07 ✓'));
  expect(formatPrintk(ring.read())).toBe(
    '[    0.000000] [      T1] one\n                          two\n[    1.500000] [      T1] tab\tbell\\x07 \\xe2\\x9c\\x93\n',
  );
  expect(
    formatPrintk([{ sequence: 0n, timestamp: 12_345_678_901n, caller: 0x8000_0003, text: Buffer.from('x') }]),
  ).toBe('[   12.345678] [      C3] x\n');
});

describe('the log since it was cleared', () => {
  const logged = (count: number): Ring => {
    const ring = new Ring(12, false);
    for (let i = 0; i < count; i++) ring.log(Buffer.from(`record ${i}`));
    return ring;
  };
  const sequences = (ring: Ring, since: bigint): number[] =>
    ring.read(since).map((record) => Number(record.sequence));

  test('holds the records from that number on, wherever the ring is by then', () => {
    // 20 records in a ring of 16: 4 to 19 are there. The original never ends when the ring has wrapped in between.
    const ring = logged(20);
    expect(sequences(ring, 18n)).toEqual([18, 19]);
    expect(sequences(ring, 10n)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    expect(sequences(ring, 2n)).toEqual(sequences(ring, 0n));
    expect(sequences(ring, 20n)).toEqual([]);
  });

  test('begins at clear_seq, which is a latch of two copies since 5.12', () => {
    const bytes = Buffer.alloc(4096);
    bytes.writeBigUInt64LE(7n, 64);
    const memory = flatMemory(bytes);
    expect(clearedUpTo(new Vmcoreinfo('SYMBOL(clear_seq)=40'), memory)).toBe(7n);
    bytes.writeBigUInt64LE(70n, 72);
    bytes.writeBigUInt64LE(80n, 80);
    const latch = new Vmcoreinfo('SYMBOL(clear_seq)=40\nOFFSET(latched_seq.val)=8');
    expect(clearedUpTo(latch, memory)).toBe(80n);
    bytes.writeUInt32LE(8, 64);
    expect(clearedUpTo(latch, memory)).toBe(70n);
    expect(clearedUpTo(new Vmcoreinfo(''), memory)).toBeUndefined();
    expect(clearedUpTo(new Vmcoreinfo('SYMBOL(clear_seq)=40000000'), memory)).toBeUndefined();
  });
});

describe('a damaged log', () => {
  test('a page that cannot be read costs the records in it', () => {
    const ring = new Ring(14, false);
    // 500 bytes and an id: eight records a page.
    for (let i = 0; i < 16; i++) ring.log(Buffer.from(`${i}`.padEnd(500)));
    const texts = ring.read(0n, [Ring.at.data / 4096]).map((record) => record.text !== undefined);
    expect(texts).toEqual([...new Array(8).fill(false), ...new Array(8).fill(true)]);
    expect(formatPrintk(ring.read(0n, [Ring.at.data / 4096])).split('\n')[0]).toContain('<lost>');
  });

  test('no readable descriptor at all is an error, not an empty log', () => {
    const ring = new Ring(12, false);
    ring.log(Buffer.from('text'));
    expect(() => ring.read(0n, [Ring.at.infos / 4096])).toThrow('cannot be read');
  });

  test('sizes that cannot be are refused before anything is allocated', () => {
    const ring = new Ring(12, false);
    ring.log(Buffer.from('text'));
    ring.bytes.writeUInt32LE(31, Ring.at.rb);
    expect(() => ring.read()).toThrow('count_bits is 31');
    const other = new Ring(12, false);
    other.bytes.writeUInt32LE(200, Ring.at.rb + 48);
    expect(() => other.read()).toThrow('size_bits is 200');
  });

  test('a member outside its structure is refused', () => {
    const outside = info.replace('SIZE(prb_desc)=24', 'SIZE(prb_desc)=16');
    expect(() => readPrintk(new Vmcoreinfo(outside), flatMemory(new Ring(12, false).bytes))).toThrow(
      'SIZE(prb_desc) is 16',
    );
  });

  test('any bytes in it end in records or in one clear error', () => {
    const damage = fc.array(
      fc.tuple(fc.nat({ max: 5000 }), fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn })),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(damage, (writes) => {
        const ring = new Ring(12, false);
        for (let i = 0; i < 20; i++) ring.log(Buffer.from(`record ${i}`));
        for (const [at, value] of writes) ring.bytes.writeBigUInt64LE(value, at);
        let outcome: unknown;
        try {
          outcome = ring.read().length;
        } catch (error) {
          outcome = error instanceof KdumpError ? 0 : error;
        }
        // A descriptor takes up 24 bytes of what there is.
        expect(outcome).toBeLessThanOrEqual(ring.bytes.length / 24);
      }),
      { numRuns: 200 },
    );
  });
});
