import { KdumpError } from '../lib/errors.ts';

/**
 * The flattened stream: a dump file as a sequence of records, for a pipe that cannot seek (makedumpfile -F; also
 * QEMU's dump-guest-memory to a pipe; struct makedumpfile_header and makedumpfile_data_header of makedumpfile.h).
 *
 *   0     signature, 16 bytes, NUL-padded
 *   16    type and version, 64 bits each, both 1
 *   4096  records: 64-bit offset and size, then that many bytes, which belong at that offset of the file
 *   end   a record head of offset -1 and size -1
 *
 * All numbers are big-endian, whatever the dumped machine is. What no record covers is a hole.
 */
export const flattenedSignature = 'makedumpfile';
export const flattenedHeaderSize = 4096;
export const recordHeadSize = 16;

const typeOffset = 16;
const versionOffset = 24;
const knownType = 1n;
const knownVersion = 1n;

/** Bytes of a header that tell what it is. */
export const flattenedMagicSize = 32;

/** Whether a file that begins with these bytes is a flattened stream. */
export function isFlattened(bytes: Uint8Array): boolean {
  const found = Buffer.from(
    bytes.buffer,
    bytes.byteOffset,
    Math.min(bytes.length, flattenedSignature.length),
  );
  return found.toString('latin1') === flattenedSignature;
}

export function encodeFlattenedHeader(): Buffer {
  const bytes = Buffer.alloc(flattenedHeaderSize);
  bytes.write(flattenedSignature, 0, 'latin1');
  bytes.writeBigInt64BE(knownType, typeOffset);
  bytes.writeBigInt64BE(knownVersion, versionOffset);
  return bytes;
}

/**
 * Checks the beginning of a stream.
 * @param bytes at least `flattenedMagicSize` of them, or as many as there are
 * @param name of the stream, for errors
 * @throws KdumpError `not-flattened`, `unsupported-flattened`
 */
export function checkFlattenedHeader(bytes: Uint8Array, name: string): void {
  if (!isFlattened(bytes) || bytes.length < flattenedMagicSize) {
    const found = Buffer.from(bytes.subarray(0, 8))
      .toString('hex')
      .replace(/..(?=.)/g, '$& ');
    throw new KdumpError(
      'not-flattened',
      `${name}: not a flattened dump: found ${found || 'nothing'}, expected "${flattenedSignature}" at offset 0`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = view.getBigInt64(typeOffset);
  const version = view.getBigInt64(versionOffset);
  if (type !== knownType || version !== knownVersion) {
    throw new KdumpError(
      'unsupported-flattened',
      `${name}: a flattened stream of type ${type}, version ${version}; known is type ${knownType}, version ${knownVersion}`,
    );
  }
}

/** Writes the head of a record, or with offset -1 and size -1 the terminator, at `at` of `target`. */
export function encodeRecordHead(target: Buffer, at: number, offset: number, size: number): void {
  target.writeBigInt64BE(BigInt(offset), at);
  target.writeBigInt64BE(BigInt(size), at + 8);
}

/** Bytes that end a stream. */
export function encodeTerminator(): Buffer {
  return Buffer.alloc(recordHeadSize, 0xff);
}

/** Head of a record; numbers beyond 2^53 are not exact, and no file has them. */
export type RecordHead = { readonly offset: number; readonly size: number };

export function decodeRecordHead(bytes: Uint8Array, at: number): RecordHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const signed64 = (from: number): number => view.getInt32(from) * 2 ** 32 + view.getUint32(from + 4);
  return { offset: signed64(at), size: signed64(at + 8) };
}

export const isTerminator = ({ offset, size }: RecordHead): boolean => offset === -1 && size === -1;

/** Whether a head, the terminator aside, can be that of a record. */
export const isRecord = ({ offset, size }: RecordHead): boolean =>
  offset >= 0 && size > 0 && Number.isSafeInteger(offset + size);
