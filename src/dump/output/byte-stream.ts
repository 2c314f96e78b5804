import { writevSync } from 'node:fs';
import { KdumpError } from '../../lib/errors.ts';
import { waitFor } from '../../system/poll.ts';

/**
 * Writes all bytes of all pieces, one after the other.
 * @throws KdumpError `write-failed`; how much was written is not known then
 */
export type ByteStream = (pieces: readonly Uint8Array[]) => void;

/** Seconds that a reader may take nothing before it counts as dead, as long as makedumpfile waits for its input. */
const defaultPatience = 600;

/** A pipe, a terminal or a file that is open for writing, written from where it stands. */
export function openByteStream(fd: number, name: string, patience = defaultPatience): ByteStream {
  return (pieces) => {
    let left = pieces.filter((piece) => piece.length > 0);
    while (left.length > 0) left = skip(left, writeSome(fd, left, name, patience));
  };
}

function writeSome(fd: number, pieces: readonly Uint8Array[], name: string, patience: number): number {
  for (;;) {
    try {
      return writevSync(fd, pieces);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Someone who shares the pipe has made it non-blocking.
      if (code === 'EAGAIN') {
        if (waitFor(fd, 'write', patience)) continue;
        throw new KdumpError(
          'write-failed',
          `${name}: the reader of the stream has taken nothing for ${patience} seconds`,
          { cause: error },
        );
      }
      const why = code === 'EPIPE' ? 'the reader of the stream has gone' : message;
      throw new KdumpError('write-failed', `${name}: ${why}`, { cause: error });
    }
  }
}

/** What is left of the pieces after `count` bytes of them. */
function skip(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  const left: Uint8Array[] = [];
  let rest = count;
  for (const piece of pieces) {
    if (rest < piece.length) left.push(rest > 0 ? piece.subarray(rest) : piece);
    rest = Math.max(0, rest - piece.length);
  }
  return left;
}
