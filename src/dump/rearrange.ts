import { readSync } from 'node:fs';
import {
  checkFlattenedHeader,
  decodeRecordHead,
  flattenedHeaderSize,
  isRecord,
  isTerminator,
  type RecordHead,
  recordHeadSize,
} from '../formats/flattened.ts';
import { KdumpError } from '../lib/errors.ts';
import { waitFor } from '../system/poll.ts';
import { markIncomplete } from './output/mark-incomplete.ts';
import type { Sink } from './output/sink.ts';

/** Reads the next bytes of a stream into `target`. @returns how many, 0 at its end */
export type StreamReader = (target: Uint8Array) => number;

/** Bytes that are read at once. */
const chunkBytes = 2 ** 20;
/** Seconds without a byte after which the sender counts as dead, as in the original. */
const patience = 600;

/** What came out of a stream. */
export type Rearranged = {
  /** Records. */
  readonly records: number;
  /** Bytes of the stream, its terminator included. */
  readonly bytes: number;
};

/**
 * Looks at the beginning of a stream, before anything is created for it.
 * @param input descriptor of standard input, or whatever gives bytes
 * @param name for messages
 * @throws KdumpError `not-flattened`, `unsupported-flattened`, `truncated`, `read-failed`
 */
export function openFlattenedStream(input: number | StreamReader, name = 'standard input'): FlattenedStream {
  const read = typeof input === 'number' ? openStreamReader(input, name) : input;
  const stream = new StreamBytes(read, name);
  const header = stream.upTo(flattenedHeaderSize);
  checkFlattenedHeader(header, name);
  if (header.length < flattenedHeaderSize)
    throw new KdumpError(
      'truncated',
      `${name}: the stream ends after ${header.length} bytes, within its header`,
    );
  return stream;
}

/**
 * Makes the plain file of a flattened stream (makedumpfile -R). Of records that overlap the later one counts; what no
 * record covers is a hole.
 * @param input a stream that was opened, or a descriptor to open as one: if it is none, the output is discarded
 * @param sink stays open
 * @throws KdumpError as openFlattenedStream; `truncated`, `bad-record`, `read-failed`, `no-space`, `write-failed`, after
 * which the output holds what had come until then, marked incomplete
 */
export function rearrange(input: FlattenedStream | number, sink: Sink): Rearranged {
  let stream: FlattenedStream;
  try {
    stream = typeof input === 'number' ? openFlattenedStream(input) : input;
  } catch (error) {
    sink.discard();
    throw error;
  }
  try {
    let records = 0;
    while (copyRecord(stream, sink)) records++;
    return { records, bytes: stream.position };
  } catch (error) {
    markIncomplete(sink);
    throw error;
  }
}

/** Reads a descriptor that may be a pipe. @throws KdumpError `read-failed` */
function openStreamReader(fd: number, name: string): StreamReader {
  return (target) => {
    for (;;) {
      if (!waitFor(fd, 'read', patience)) {
        throw new KdumpError('read-failed', `${name}: nothing has come for ${patience} seconds`);
      }
      try {
        return readSync(fd, target);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        // Someone else has read what there was.
        if (code === 'EAGAIN') continue;
        throw new KdumpError('read-failed', `${name}: ${message}`, { cause: error });
      }
    }
  };
}

/** Copies one record. @returns false at the terminator */
function copyRecord(stream: FlattenedStream, sink: Sink): boolean {
  const at = stream.position;
  const bytes = stream.upTo(recordHeadSize);
  if (bytes.length < recordHeadSize) throw truncated(stream, sink);
  const head = decodeRecordHead(bytes, 0);
  if (isTerminator(head)) return false;
  if (!isRecord(head)) throw badRecord(stream, at, head, sink);
  for (let done = 0; done < head.size; ) {
    const piece = stream.next(head.size - done);
    if (piece.length === 0) throw truncated(stream, sink);
    const stored = sink.write(piece, head.offset + done);
    if (stored < piece.length) {
      throw new KdumpError(
        'no-space',
        `${sink.path}: no space left at offset ${head.offset + done + stored}; what came before is kept`,
        { fix: 'Free some space.', facts: { written: sink.written } },
      );
    }
    done += piece.length;
  }
  return true;
}

function truncated(stream: StreamBytes, sink: Sink): KdumpError {
  return new KdumpError(
    'truncated',
    `${stream.name}: the stream ends after ${stream.position} bytes without its terminator; what came is kept in ${sink.path}`,
    {
      fix: 'Send the stream again if its origin is still there; otherwise what is kept can be read as far as it goes.',
      facts: { bytes: stream.position, written: sink.written, output: sink.path },
    },
  );
}

function badRecord(stream: StreamBytes, at: number, { offset, size }: RecordHead, sink: Sink): KdumpError {
  return new KdumpError(
    'bad-record',
    `${stream.name}: the record at ${at} has offset ${offset} and size ${size}, so the stream is damaged from there on; what came before is kept in ${sink.path}`,
    { facts: { at, offset, size, written: sink.written, output: sink.path } },
  );
}

/** A flattened stream whose header was read. */
export type FlattenedStream = StreamBytes;

/** A stream in chunks, and how far it was read. */
class StreamBytes {
  readonly name: string;
  /** Bytes that were handed out. */
  position = 0;
  readonly #input: StreamReader;
  readonly #chunk = Buffer.alloc(chunkBytes);
  /** What of the chunk was not handed out. */
  #from = 0;
  #to = 0;

  constructor(input: StreamReader, name: string) {
    this.#input = input;
    this.name = name;
  }

  /** Some bytes, `most` at most, good until the next call; none at the end of the stream. */
  next(most: number): Uint8Array {
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = this.#input(this.#chunk);
    }
    const piece = this.#chunk.subarray(this.#from, Math.min(this.#to, this.#from + most));
    this.#from += piece.length;
    this.position += piece.length;
    return piece;
  }

  /** `length` bytes, or fewer when the stream ends. */
  upTo(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      const piece = this.next(length - done);
      if (piece.length === 0) break;
      bytes.set(piece, done);
      done += piece.length;
    }
    return bytes.subarray(0, done);
  }
}
