/** Of the tenth byte of a LEB128 number, the last that 64 bits need. */
const maxScale = 2 ** 63;

/**
 * Little-endian bytes read one value after the other. Reading past the end throws a RangeError, which whoever opened
 * the bytes turns into an error that names the file and the offset.
 */
export class Cursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.at++);
  }

  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2, true);
  }

  u24(): number {
    return this.u16() + this.u8() * 0x1_0000;
  }

  u32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }

  u64(): bigint {
    this.at += 8;
    return this.#view.getBigUint64(this.at - 8, true);
  }

  /** A 64-bit value as a number; not exact above 2^53, which no offset into a file is. */
  long(): number {
    const low = this.u32();
    return this.u32() * 0x1_0000_0000 + low;
  }

  /** 4 or 8 bytes, as the 32-bit and 64-bit formats of DWARF have offsets. */
  offset(width: number): number {
    return width === 8 ? this.long() : this.u32();
  }

  uleb(): number {
    let byte = this.u8();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 0x80;
    do {
      if (scale > maxScale) throw new RangeError('a LEB128 number of more than 64 bits');
      byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
    } while (byte >= 0x80);
    return value;
  }

  sleb(): number {
    let value = 0;
    for (let scale = 1; scale <= maxScale; scale *= 0x80) {
      const byte = this.u8();
      if (byte >= 0x80) value += (byte & 0x7f) * scale;
      // The sign belongs to the last group: taken off the sum, it would be of a number that may not be exact.
      else return value + (byte < 0x40 ? byte : byte - 0x80) * scale;
    }
    throw new RangeError('a LEB128 number of more than 64 bits');
  }

  /** The same, exact. */
  bigLeb(signed: boolean): bigint {
    let value = 0n;
    let shift = 0n;
    let byte: number;
    do {
      byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (shift > 70n) throw new RangeError('a LEB128 number of more than 64 bits');
    } while (byte >= 0x80);
    return signed && (byte & 0x40) !== 0 ? value - (1n << shift) : value;
  }

  /** NUL-terminated text. */
  string(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end < 0) throw new RangeError('text without an end');
    const text = Buffer.from(this.bytes.buffer, this.bytes.byteOffset + this.at, end - this.at).toString(
      'latin1',
    );
    this.at = end + 1;
    return text;
  }

  skip(length: number): void {
    this.at += length;
    if (this.at > this.bytes.length) throw new RangeError('beyond the end');
  }
}
