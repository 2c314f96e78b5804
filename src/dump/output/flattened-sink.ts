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

/** Bytes of a reserved region that become one record. */
const gatherBytes = 64 * 1024;

/**
 * A region that is written in small pieces while larger ones go elsewhere: descriptors, program headers. They are
 * gathered, since crash(8) sorts the records by moving all that lie behind a new one, and here that is all data.
 */
type Region = {
  readonly start: number;
  readonly end: number;
  /** What of the limit is set aside for it, with what the heads of its records will take. */
  left: number;
  /** What was not sent yet, and where it belongs. */
  readonly bytes: Buffer;
  used: number;
  at: number;
};

/**
 * No two records overlap: crash(8) searches them by offset and would find the one or the other, and a stream cannot take
 * anything back.
 */
class FlattenedSink implements Sink {
  readonly path: string;
  readonly rewritable = false;
  /** Bytes of the stream, what is gathered and the terminator included. */
  written: number;
  readonly #stream: ByteStream;
  readonly #limit: number;
  readonly #ranges = new WrittenRanges();
  readonly #regions: Region[] = [];
  readonly #head = Buffer.alloc(recordHeadSize);
  /** Why the stream ended in the middle of a record: nothing that comes after it would be understood. */
  #broken: unknown;

  constructor(path: string, stream: ByteStream, limit: number) {
    this.path = path;
    this.#stream = stream;
    this.#limit = limit;
    const header = encodeFlattenedHeader();
    this.written = header.length + recordHeadSize;
    this.#send(header);
  }

  write(bytes: Uint8Array, offset: number): number {
    if (this.#broken !== undefined) throw this.#broken;
    const region = this.#regions.find(({ start, end }) => offset >= start && offset < end);
    const size = Math.min(bytes.length, this.#room(region, bytes.length));
    if (size <= 0) return 0;
    if (!this.#ranges.add(offset, offset + size))
      throw new KdumpError('internal', `${this.path}: offset ${offset}: ${size} bytes are written twice`);
    const part = size < bytes.length ? bytes.subarray(0, size) : bytes;
    if (region === undefined) this.#record(part, offset);
    else this.#gather(region, part, offset);
    return size;
  }

  reserve(start: number, length: number): void {
    if (length <= 0) return;
    // A write holds at least the descriptors of a few pages, so a head for each of them is at most an eighth more.
    const left = length + Math.ceil(length / 8) + 64;
    const bytes = Buffer.alloc(Math.min(gatherBytes, length));
    this.#regions.push({ start, end: start + length, left, bytes, used: 0, at: start });
  }

  close(): void {
    if (this.#broken !== undefined) return;
    for (const region of this.#regions) this.#flush(region);
    this.#send(encodeTerminator());
  }

  /** What was sent is with its reader. */
  discard(): void {}

  /** Bytes that a record in a region, or outside of all, may hold of `length` that are wanted. */
  #room(region: Region | undefined, length: number): number {
    const room = this.#limit - this.written - recordHeadSize;
    if (room === Number.POSITIVE_INFINITY || length <= lateFieldSize) return room;
    const others = this.#regions.reduce((sum, other) => sum + (other === region ? 0 : other.left), 0);
    return room - lateFieldRoom - others;
  }

  #gather(region: Region, bytes: Uint8Array, offset: number): void {
    region.left = Math.max(0, region.left - bytes.length - recordHeadSize);
    const { used } = region;
    if (used > 0 && (region.at + used !== offset || used + bytes.length > region.bytes.length))
      this.#flush(region);
    if (bytes.length > region.bytes.length) {
      this.#record(bytes, offset);
      return;
    }
    if (region.used === 0) {
      region.at = offset;
      this.written += recordHeadSize;
    }
    region.bytes.set(bytes, region.used);
    region.used += bytes.length;
    this.written += bytes.length;
  }

  #flush(region: Region): void {
    if (region.used === 0) return;
    const bytes = region.bytes.subarray(0, region.used);
    region.used = 0;
    // Was counted as written when it was gathered.
    this.written -= recordHeadSize + bytes.length;
    this.#record(bytes, region.at);
  }

  #record(bytes: Uint8Array, offset: number): void {
    encodeRecordHead(this.#head, 0, offset, bytes.length);
    this.#send(this.#head, bytes);
    this.written += recordHeadSize + bytes.length;
  }

  #send(...pieces: Uint8Array[]): void {
    try {
      this.#stream(pieces);
    } catch (error) {
      this.#broken = error;
      throw error;
    }
  }
}
