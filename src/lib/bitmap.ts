/**
 * One bit a page frame, bit p % 8 of byte p / 8 counted from the least significant one: the very bytes that a
 * kdump-compressed file stores, so a bitmap is written as it stands. Page frame numbers may exceed 2^31 (8 TiB), so
 * they are divided, not shifted; only the low three bits are taken by a bit operation.
 */
export class PageBitmap {
  /** Number of page frames; bits at and above it are always 0. */
  readonly length: number;
  readonly bytes: Uint8Array;

  /** @param byteLength room to allocate when a file wants whole blocks; at least ceil(length / 8). */
  constructor(length: number, byteLength = Math.ceil(length / 8)) {
    this.length = length;
    this.bytes = new Uint8Array(byteLength);
  }

  has(pfn: number): boolean {
    return (this.bytes[Math.floor(pfn / 8)]! & (1 << (pfn & 7))) !== 0;
  }

  /** Clears one bit; tells whether it had been set. */
  clear(pfn: number): boolean {
    const at = Math.floor(pfn / 8);
    const mask = 1 << (pfn & 7);
    const byte = this.bytes[at]!;
    this.bytes[at] = byte & ~mask;
    return (byte & mask) !== 0;
  }

  /** Sets [start, end), cut to the bitmap's length. */
  setRange(start: number, end: number): void {
    const { bytes } = this;
    const stop = Math.min(end, this.length);
    let pfn = start;
    for (; pfn < stop && (pfn & 7) !== 0; pfn++) bytes[Math.floor(pfn / 8)]! |= 1 << (pfn & 7);
    const whole = stop - ((stop - pfn) & 7);
    if (pfn < whole) bytes.fill(0xff, pfn / 8, whole / 8);
    for (pfn = Math.max(pfn, whole); pfn < stop; pfn++) bytes[Math.floor(pfn / 8)]! |= 1 << (pfn & 7);
  }

  /** Clears [start, end), cut to the bitmap's length; returns how many of those bits had been set. */
  clearRange(start: number, end: number): number {
    const { bytes } = this;
    const stop = Math.min(end, this.length);
    let cleared = 0;
    let pfn = start;
    for (; pfn < stop && (pfn & 7) !== 0; pfn++) if (this.clear(pfn)) cleared++;
    for (; pfn + 8 <= stop; pfn += 8) {
      const at = Math.floor(pfn / 8);
      cleared += populationOfByte[bytes[at]!]!;
      bytes[at] = 0;
    }
    for (; pfn < stop; pfn++) if (this.clear(pfn)) cleared++;
    return cleared;
  }

  /** Number of set bits. */
  count(): number {
    let total = 0;
    for (const byte of this.bytes) total += populationOfByte[byte]!;
    return total;
  }

  /** First set bit at or after `from`, or `length` when there is none. */
  nextSet(from: number): number {
    return this.#next(from, 0);
  }

  /** First clear bit at or after `from`, or `length` when there is none. */
  nextClear(from: number): number {
    return this.#next(from, 0xff);
  }

  /** First bit at or after `from` whose value is not the one that `skip` (a whole byte of them) stands for. */
  #next(from: number, skip: number): number {
    const { bytes, length } = this;
    let pfn = from;
    while (pfn < length) {
      // The bits that differ from `skip`, those below pfn masked away.
      const differing = (bytes[Math.floor(pfn / 8)]! ^ skip) & (0xff << (pfn & 7)) & 0xff;
      if (differing !== 0) return Math.min(length, pfn - (pfn & 7) + 31 - Math.clz32(differing & -differing));
      pfn += 8 - (pfn & 7);
    }
    return length;
  }
}

const populationOfByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  let bits = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) bits++;
  return bits;
});
