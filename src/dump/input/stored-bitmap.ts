import { PageBitmap, populationOf } from '../../lib/bitmap.ts';
import type { ByteSource } from './bytes.ts';

/** Bytes of a bitmap that are looked at in one go. */
export const pieceBytes = 32 * 1024;
/** Page frames that one piece covers. */
const pieceFrames = pieceBytes * 8;
/** Pieces that are kept: users go through a bitmap in ascending order, or jump between a few places. */
const piecesKept = 8;
/** Bytes whose bits are counted in advance within a piece, so that a rank counts fewer than this many. */
const stride = 8;

type Piece = {
  readonly bytes: Uint8Array;
  /** Set bits of the piece before each stride. */
  readonly before: Uint32Array;
};

/**
 * A bitmap where it lies in a file. At 16 TiB it has 512 MiB, so it is not held: a table of ranks, one for each piece,
 * is built by one pass when first wanted, and the pieces are read on demand.
 */
export class StoredBitmap {
  /** Number of page frames; bits above them are never looked at. */
  readonly length: number;
  readonly #file: ByteSource;
  readonly #offset: number;
  readonly #pieces = new Map<number, Piece>();
  /** Set bits before each piece, and all of them at the end. */
  #ranks: Float64Array | undefined;
  /** The piece that was used last. */
  #number = -1;
  #piece: Piece | undefined;

  /** @param offset of the bitmap in the file, bytes */
  constructor(file: ByteSource, offset: number, length: number) {
    this.#file = file;
    this.#offset = offset;
    this.length = length;
  }

  /** Number of set bits. */
  get count(): number {
    const ranks = this.#rankTable();
    return ranks[ranks.length - 1]!;
  }

  has(pfn: number): boolean {
    if (pfn < 0 || pfn >= this.length) return false;
    const { bytes } = this.#pieceOf(pfn);
    return (bytes[Math.floor((pfn % pieceFrames) / 8)]! & (1 << (pfn & 7))) !== 0;
  }

  /** Number of set bits below `pfn`. */
  rank(pfn: number): number {
    if (pfn >= this.length) return this.count;
    const before = this.#rankTable()[Math.floor(pfn / pieceFrames)]!;
    const { bytes, before: counted } = this.#pieceOf(pfn);
    const bit = pfn % pieceFrames;
    const byte = bit >>> 3;
    let at = byte - (byte % stride);
    let rank = before + counted[at / stride]!;
    for (; at < byte; at++) rank += bitsOf[bytes[at]!]!;
    return rank + bitsOf[bytes[byte]! & ((1 << (bit & 7)) - 1)]!;
  }

  /** Sets in `bitmap` what is set here. */
  addTo(bitmap: PageBitmap): void {
    this.#combine(bitmap, (target, at, source) => {
      for (let i = 0; i < source.length; i++) target[at + i]! |= source[i]!;
    });
  }

  /** Clears in `bitmap` what is clear here. */
  keepIn(bitmap: PageBitmap): void {
    this.#combine(bitmap, (target, at, source) => {
      for (let i = 0; i < source.length; i++) target[at + i]! &= source[i]!;
    });
    bitmap.clearRange(Math.max(this.length, bitmap.first), bitmap.end);
  }

  /** One piece after the other, in ascending order; each is good until the next. */
  *pieces(): Generator<PageBitmap> {
    const buffer = new Uint8Array(pieceBytes);
    for (let first = 0; first < this.length; first += pieceFrames) {
      const frames = Math.min(pieceFrames, this.length - first);
      yield new PageBitmap(frames, 0, first, this.read(first, frames, buffer));
    }
  }

  /**
   * Bits of [first, first + frames) into `target`, `first` being a multiple of 8; what the file does not have reads as
   * zero.
   * @returns the bytes of `target` that they took
   */
  read(first: number, frames: number, target: Uint8Array): Uint8Array {
    const bytes = target.subarray(0, Math.ceil(frames / 8));
    const got = this.#file.readInto(this.#offset + first / 8, bytes);
    bytes.fill(0, got);
    const inside = Math.min(frames, this.length - first);
    if (inside < frames || (inside & 7) !== 0) clearFrom(bytes, Math.max(0, inside));
    return bytes;
  }

  #combine(bitmap: PageBitmap, apply: (target: Uint8Array, at: number, source: Uint8Array) => void): void {
    const end = Math.min(bitmap.end, this.length);
    const buffer = new Uint8Array(pieceBytes);
    for (let first = bitmap.first; first < end; first += pieceFrames) {
      const frames = Math.min(pieceFrames, end - first);
      apply(bitmap.bytes, (first - bitmap.first) / 8, this.read(first, frames, buffer));
    }
  }

  #rankTable(): Float64Array {
    if (this.#ranks === undefined) {
      const ranks = new Float64Array(Math.ceil(this.length / pieceFrames) + 1);
      let at = 0;
      for (const piece of this.pieces()) {
        ranks[at + 1] = ranks[at]! + piece.count();
        at++;
      }
      this.#ranks = ranks;
    }
    return this.#ranks;
  }

  #pieceOf(pfn: number): Piece {
    const number = Math.floor(pfn / pieceFrames);
    if (number === this.#number) return this.#piece!;
    let piece = this.#pieces.get(number);
    if (piece === undefined) {
      const first = number * pieceFrames;
      // The oldest gives up its memory.
      let room: Piece | undefined;
      if (this.#pieces.size >= piecesKept) {
        const [oldest, old] = this.#pieces.entries().next().value!;
        this.#pieces.delete(oldest);
        room = old;
      }
      piece = room ?? { bytes: new Uint8Array(pieceBytes), before: new Uint32Array(pieceBytes / stride) };
      const { bytes, before } = piece;
      this.read(first, pieceFrames, bytes);
      for (let at = 0, sum = 0; at < pieceBytes; sum += bitsOf[bytes[at++]!]!) {
        if (at % stride === 0) before[at / stride] = sum;
      }
      this.#pieces.set(number, piece);
    }
    this.#number = number;
    this.#piece = piece;
    return piece;
  }
}

/** Set bits of a byte. */
const bitsOf = Uint8Array.from({ length: 256 }, (_, byte) => populationOf(Uint8Array.of(byte)));

/** Clears all bits from number `bit` on. */
function clearFrom(bytes: Uint8Array, bit: number): void {
  const at = bit >>> 3;
  if (at < bytes.length) bytes[at]! &= (1 << (bit & 7)) - 1;
  bytes.fill(0, at + 1);
}
