/** Half-open range of page frames. */
export type PfnRange = { readonly start: number; readonly end: number };

/**
 * One bit a page frame, bit p % 8 of byte p / 8 counted from the least significant one: the very bytes that a
 * kdump-compressed file stores, so a bitmap is written as it stands. Page frame numbers may exceed 2^31 (8 TiB), so
 * they are divided, not shifted; only the low three bits are taken by a bit operation.
 */
export class PageBitmap {
  /** First page frame that the bitmap covers; a multiple of 8. */
  readonly first: number;
  /** Number of page frames; bits above them are always 0. */
  readonly length: number;
  /** first + length. */
  readonly end: number;
  readonly bytes: Uint8Array;
  /** Index that the byte of page frame 0 would have, negated. */
  readonly #firstByte: number;

  /**
   * @param byteLength room to allocate when a file wants whole blocks; at least ceil(length / 8)
   * @param first makes it cover [first, first + length): one piece of a larger bitmap. Every method takes page frames
   * @param bytes to use instead of new ones, as when threads share them
   */
  constructor(
    length: number,
    byteLength = Math.ceil(length / 8),
    first = 0,
    bytes: Uint8Array = new Uint8Array(byteLength),
  ) {
    if (first % 8 !== 0) throw new RangeError(`a bitmap cannot begin at page frame ${first}`);
    this.first = first;
    this.length = length;
    this.end = first + length;
    this.bytes = bytes;
    this.#firstByte = first / 8;
  }

  has(pfn: number): boolean {
    return (this.bytes[Math.floor(pfn / 8) - this.#firstByte]! & (1 << (pfn & 7))) !== 0;
  }

  /** Sets one bit. */
  set(pfn: number): void {
    this.bytes[Math.floor(pfn / 8) - this.#firstByte]! |= 1 << (pfn & 7);
  }

  /** Clears one bit; tells whether it had been set. */
  clear(pfn: number): boolean {
    const at = Math.floor(pfn / 8) - this.#firstByte;
    const mask = 1 << (pfn & 7);
    const byte = this.bytes[at]!;
    this.bytes[at] = byte & ~mask;
    return (byte & mask) !== 0;
  }

  /** Sets [start, end), cut to what the bitmap covers. */
  setRange(start: number, end: number): void {
    const { bytes } = this;
    const stop = Math.min(end, this.end);
    let pfn = Math.max(start, this.first);
    for (; pfn < stop && (pfn & 7) !== 0; pfn++) this.set(pfn);
    const whole = stop - ((stop - pfn) & 7);
    if (pfn < whole) bytes.fill(0xff, pfn / 8 - this.#firstByte, whole / 8 - this.#firstByte);
    for (pfn = Math.max(pfn, whole); pfn < stop; pfn++) this.set(pfn);
  }

  /** Clears [start, end), cut to what the bitmap covers; returns how many of those bits had been set. */
  clearRange(start: number, end: number): number {
    const { bytes } = this;
    const stop = Math.min(end, this.end);
    let pfn = Math.max(start, this.first);
    let cleared = 0;
    for (; pfn < stop && (pfn & 7) !== 0; pfn++) if (this.clear(pfn)) cleared++;
    for (; pfn + 8 <= stop; pfn += 8) {
      const at = pfn / 8 - this.#firstByte;
      cleared += populationOfByte[bytes[at]!]!;
      bytes[at] = 0;
    }
    for (; pfn < stop; pfn++) if (this.clear(pfn)) cleared++;
    return cleared;
  }

  /** Number of set bits. */
  count(): number {
    return populationOf(this.bytes);
  }

  /** End of the shortest range from `from` on that holds `count` set bits, or `end` when there are not so many. */
  endOfNext(from: number, count: number): number {
    const { bytes, end } = this;
    let left = count;
    let pfn = from;
    while (pfn < end) {
      const set = populationOfByte[bytes[Math.floor(pfn / 8) - this.#firstByte]! & (0xff << (pfn & 7))]!;
      if (set >= left) break;
      left -= set;
      pfn += 8 - (pfn & 7);
    }
    for (; left > 0 && pfn < end; pfn++) if (this.has(pfn)) left--;
    return Math.min(pfn, end);
  }

  /** First set bit at or after `from`, or `limit` (the bitmap's end) when there is none before it. */
  nextSet(from: number, limit: number = this.end): number {
    return this.#next(from, limit, 0);
  }

  /** First clear bit at or after `from`, or `limit` (the bitmap's end) when there is none before it. */
  nextClear(from: number, limit: number = this.end): number {
    return this.#next(from, limit, 0xff);
  }

  /** First bit in [from, limit) whose value is not the one that `skip` (a whole byte of them) stands for. */
  #next(from: number, limit: number, skip: number): number {
    const { bytes } = this;
    const stop = Math.min(limit, this.end);
    let pfn = Math.max(from, this.first);
    while (pfn < stop) {
      // The bits that differ from `skip`, those below pfn masked away.
      const at = Math.floor(pfn / 8) - this.#firstByte;
      const differing = (bytes[at]! ^ skip) & (0xff << (pfn & 7)) & 0xff;
      if (differing !== 0) return Math.min(stop, pfn - (pfn & 7) + 31 - Math.clz32(differing & -differing));
      pfn += 8 - (pfn & 7);
    }
    return stop;
  }
}

/** Number of set bits of some bytes. */
export function populationOf(bytes: Uint8Array): number {
  // Four bytes at a time where the memory is aligned so. By index: an iterator makes an object for each.
  const count = bytes.byteOffset % 4 === 0 ? Math.floor(bytes.length / 4) : 0;
  const words = new Uint32Array(bytes.buffer, count > 0 ? bytes.byteOffset : 0, count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const word = words[i]!;
    let v = word - ((word >>> 1) & 0x5555_5555);
    v = (v & 0x3333_3333) + ((v >>> 2) & 0x3333_3333);
    total += Math.imul((v + (v >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
  }
  for (let at = count * 4; at < bytes.length; at++) total += populationOfByte[bytes[at]!]!;
  return total;
}

const populationOfByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  let bits = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) bits++;
  return bits;
});
