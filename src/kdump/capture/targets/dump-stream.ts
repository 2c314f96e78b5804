import { createHash } from 'node:crypto';
import type { ByteStream } from '../../../dump/output/byte-stream.ts';

/** A stream that is counted and summed on its way. */
export type DumpStream = {
  readonly write: ByteStream;
  /** Bytes so far. */
  readonly bytes: number;
  /** Of all bytes; may be asked once. */
  sha256(): string;
};

/** @param sink takes the bytes; how much of what it fails on was taken is not known */
export function countedStream(sink: ByteStream): DumpStream {
  const hash = createHash('sha256');
  let bytes = 0;
  return {
    write(pieces) {
      sink(pieces);
      for (const piece of pieces) {
        hash.update(piece);
        bytes += piece.length;
      }
    },
    get bytes() {
      return bytes;
    },
    sha256: () => hash.digest('hex'),
  };
}
