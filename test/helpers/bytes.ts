import type { ByteSource } from '../../src/dump/input/bytes.ts';
import type { Sink } from '../../src/dump/output/sink.ts';

/** A file in memory; never mapped. */
export function memoryBytes(bytes: Uint8Array, path = 'memory'): ByteSource {
  return {
    path,
    size: bytes.length,
    readInto(offset, target) {
      const piece = bytes.subarray(offset, offset + target.length);
      target.set(piece);
      return piece.length;
    },
    view: () => undefined,
    close() {},
  };
}

/** All bytes of a source. */
export function allBytes(source: ByteSource): Buffer {
  const bytes = Buffer.alloc(source.size);
  return bytes.subarray(0, source.readInto(0, bytes));
}

/** A flattened stream of records, with its terminator unless `end` is false. */
export function flatten(records: readonly { offset: number; bytes: Uint8Array }[], end = true): Buffer {
  const head = Buffer.alloc(4096);
  head.write('makedumpfile', 0, 'latin1');
  head.writeBigInt64BE(1n, 16);
  head.writeBigInt64BE(1n, 24);
  const recordHead = (offset: bigint, size: bigint): Buffer => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigInt64BE(offset, 0);
    bytes.writeBigInt64BE(size, 8);
    return bytes;
  };
  return Buffer.concat([
    head,
    ...records.flatMap(({ offset, bytes }) => [recordHead(BigInt(offset), BigInt(bytes.length)), bytes]),
    ...(end ? [recordHead(-1n, -1n)] : []),
  ]);
}

/** A sink in memory, with room for `limit` bytes of file. */
export function memorySink(limit = Number.POSITIVE_INFINITY): Sink & { readonly bytes: Buffer } {
  let bytes = Buffer.alloc(0);
  let written = 0;
  return {
    path: 'memory',
    rewritable: true,
    get written() {
      return written;
    },
    get bytes() {
      return bytes;
    },
    write(piece, offset) {
      const length = Math.max(0, Math.min(piece.length, limit - offset));
      if (offset + length > bytes.length)
        bytes = Buffer.concat([bytes, Buffer.alloc(offset + length - bytes.length)]);
      bytes.set(piece.subarray(0, length), offset);
      written += length;
      return length;
    },
    reserve() {},
    close() {},
    discard() {},
  };
}
