import {
  encodeFlattenedHeader,
  encodeRecordHead,
  encodeTerminator,
  recordHeadSize,
} from '../../formats/flattened.ts';
import { KdumpError } from '../../lib/errors.ts';
import { type ByteStream, openByteStream } from './byte-stream.ts';
import type { Sink } from './sink.ts';
import { WrittenRanges } from './written-ranges.ts';

/**
 * Opens a flattened stream and writes its header.
 * @param output descriptor of a pipe or file, or what takes the bytes
 * @param limit bytes of the stream after which it counts as full (-L)
 * @throws KdumpError `write-failed`
 */
export function openFlattenedSink(output: number | ByteStream, { limit }: { limit?: number } = {}): Sink {
  const name = output === 1 ? 'standard output' : 'the stream';
  const stream = typeof output === 'number' ? openByteStream(output, name) : output;
  return new FlattenedSink(name, stream, limit ?? Number.POSITIVE_INFINITY);
}

/** Fields that only the end of a dump decides about are no longer than this, and may use what is set aside for them. */
const lateFieldSize = 16;
const lateFieldRoom = 128;

/** Room that was asked for; `left` includes what the heads of its records will take. */
type Reservation = { readonly start: number; readonly end: number; left: number };

const holds = ({ start, end }: Reservation, offset: number): boolean => offset >= start && offset < end;

/**
 * Every write becomes a record. No two may overlap: crash(8) searches the records of a stream by offset and would find
 * the one or the other, and a stream cannot take anything back.
 */
class FlattenedSink implements Sink {
  readonly path: string;
  readonly rewritable = false;
  written = 0;
  readonly #stream: ByteStream;
  readonly #limit: number;
  readonly #ranges = new WrittenRanges();
  readonly #reserved: Reservation[] = [];
  readonly #head = Buffer.alloc(recordHeadSize);
  /** Why the stream ended in the middle of a record: nothing that comes after it would be understood. */
  #broken: unknown;

  constructor(path: string, stream: ByteStream, limit: number) {
    this.path = path;
    this.#stream = stream;
    this.#limit = limit;
    this.#send(encodeFlattenedHeader());
  }

  write(bytes: Uint8Array, offset: number): number {
    const size = Math.min(bytes.length, this.#room(offset, bytes.length));
    if (size <= 0) return 0;
    if (!this.#ranges.add(offset, offset + size))
      throw new KdumpError('internal', `${this.path}: offset ${offset}: ${size} bytes are written twice`);
    const reservation = this.#reserved.find((held) => holds(held, offset));
    if (reservation !== undefined) reservation.left = Math.max(0, reservation.left - size - recordHeadSize);
    encodeRecordHead(this.#head, 0, offset, size);
    this.#send(this.#head, size < bytes.length ? bytes.subarray(0, size) : bytes);
    return size;
  }

  reserve(start: number, length: number): void {
    if (this.#limit === Number.POSITIVE_INFINITY || length <= 0) return;
    // A record holds at least the descriptors of a few pages, so its head is at most an eighth more.
    this.#reserved.push({ start, end: start + length, left: length + Math.ceil(length / 8) + 64 });
  }

  close(): void {
    if (this.#broken === undefined) this.#send(encodeTerminator());
  }

  /** What was sent is with its reader. */
  discard(): void {}

  /** Bytes that a record at `offset` may hold, of `length` that are wanted. */
  #room(offset: number, length: number): number {
    const room = this.#limit - this.written - 2 * recordHeadSize;
    if (length <= lateFieldSize) return room;
    const others = this.#reserved.reduce(
      (sum, reservation) => sum + (holds(reservation, offset) ? 0 : reservation.left),
      0,
    );
    return room - lateFieldRoom - others;
  }

  #send(...pieces: Uint8Array[]): void {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      this.#stream(pieces);
    } catch (error) {
      this.#broken = error;
      throw error;
    }
    for (const piece of pieces) this.written += piece.length;
  }
}
