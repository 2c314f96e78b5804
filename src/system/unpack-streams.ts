import { addressOf } from './ffi.ts';
import type { StreamDecoder } from './stream-decoders.ts';

/** Bytes that can be read in pieces. */
export type Source = {
  readonly size: number;
  /** All of [offset, offset + length), or an error. */
  read(offset: number, length: number): Uint8Array;
};
/** Is given what comes out, piece by piece; a piece is good only during the call. */
export type Write = (piece: Uint8Array) => void;

/** Memory that a library is given the address of. */
export type Room = { readonly bytes: Buffer; readonly address: number };

export function room(size: number): Room {
  const bytes = Buffer.alloc(size);
  return { bytes, address: addressOf(bytes) };
}

/** Room for one piece on either side of a decoder; kept, so that the addresses stay good. */
let rooms: { readonly input: Room; readonly output: Room } | undefined;

/**
 * Decodes one stream after the other, as long as another one of the same format follows.
 * @returns false when `open` has no library
 * @throws Error that says why they cannot be decoded; and whatever `write` and `source` throw
 */
export function unpackStreams(
  open: () => StreamDecoder | undefined,
  source: Source,
  magic: readonly number[],
  write: Write,
): boolean {
  let at = 0;
  do {
    const decoder = open();
    if (decoder === undefined) return false;
    try {
      at = decodeStream(decoder, source, at, write);
    } finally {
      decoder.close();
    }
  } while (beginsWith(source, at, magic));
  return true;
}

/** @returns offset of the first byte behind the stream that begins at `start` */
function decodeStream(decoder: StreamDecoder, source: Source, start: number, write: Write): number {
  rooms ??= { input: room(256 * 1024), output: room(1024 * 1024) };
  const { input, output } = rooms;
  let at = start;
  let have = 0;
  let used = 0;
  for (;;) {
    if (used === have) {
      at += have;
      have = Math.min(input.bytes.length, source.size - at);
      used = 0;
      input.bytes.set(source.read(at, have));
    }
    const step = decoder.step(input.address + used, have - used, output.address, output.bytes.length);
    used += step.read;
    if (step.written > 0) write(output.bytes.subarray(0, step.written));
    if (step.ended) return at + used;
    if (step.read === 0 && step.written === 0)
      throw new Error(
        used === have ? `they end too early, at byte ${at + used}` : 'the library stands still',
      );
  }
}

function beginsWith(source: Source, at: number, magic: readonly number[]): boolean {
  if (at + magic.length > source.size) return false;
  const bytes = source.read(at, magic.length);
  return magic.every((byte, index) => bytes[index] === byte);
}
