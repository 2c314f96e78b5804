import { KdumpError } from '../lib/errors.ts';
import { unpackLz4Blocks } from './lz4-blocks.ts';
import {
  gzipDecoder,
  lz4FrameDecoder,
  lzmaDecoder,
  type StreamDecoder,
  zstdDecoder,
} from './stream-decoders.ts';
import { type Source, unpackStreams, type Write } from './unpack-streams.ts';

/** What kernel packages and kernels' own builds compress modules and images with. */
export type Compression = 'gzip' | 'xz' | 'zstd' | 'lzma' | 'lz4';

type Format = {
  readonly name: Compression;
  /** The first bytes of a file, which tell the format; its name never does. */
  readonly magic: readonly number[];
  /** What of Debian (and of others) has the library. */
  readonly package: string;
  /** @returns false when the library is not installed */
  unpack(source: Source, format: Format, write: Write): boolean;
};

const stream =
  (open: () => StreamDecoder | undefined): Format['unpack'] =>
  (source, { magic }, write) =>
    unpackStreams(open, source, magic, write);

const lz4Package = 'liblz4-1 (or lz4-libs)';
const lzmaPackage = 'liblzma5 (or xz-libs)';
const formats: readonly Format[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], package: 'nodejs', unpack: stream(gzipDecoder) },
  {
    name: 'xz',
    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
    package: lzmaPackage,
    unpack: stream(lzmaDecoder),
  },
  {
    name: 'zstd',
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    package: 'libzstd1 (or libzstd)',
    unpack: stream(zstdDecoder),
  },
  // The usual properties, and a dictionary of at least 64 KiB; the format has no magic.
  { name: 'lzma', magic: [0x5d, 0x00, 0x00], package: lzmaPackage, unpack: stream(lzmaDecoder) },
  { name: 'lz4', magic: [0x04, 0x22, 0x4d, 0x18], package: lz4Package, unpack: stream(lz4FrameDecoder) },
  {
    name: 'lz4',
    magic: [0x02, 0x21, 0x4c, 0x18],
    package: lz4Package,
    unpack: (source, { magic }, write) => unpackLz4Blocks(source, magic, write),
  },
];

const formatOf = (bytes: Uint8Array): Format | undefined =>
  formats.find(({ magic }) => magic.every((byte, index) => bytes[index] === byte));

/** Compression of a file that begins with these bytes; undefined for a plain file. */
export function compressionOf(bytes: Uint8Array): Compression | undefined {
  return formatOf(bytes)?.name;
}

/** What is taken for a mistake or an attack: no kernel, module or debug section is as large. */
export const largestUnpacked = 1024 ** 3;

/**
 * The plain content of a file that may be compressed.
 * @param name of the file, for errors
 * @throws KdumpError `decompress` as `unpack`
 */
export function decompress(bytes: Uint8Array, name: string): Uint8Array {
  if (compressionOf(bytes) === undefined) return bytes;
  const pieces: Uint8Array[] = [];
  const source = {
    size: bytes.length,
    read: (offset: number, length: number) => bytes.subarray(offset, offset + length),
  };
  unpack(source, name, (piece) => pieces.push(Uint8Array.from(piece)));
  return Buffer.concat(pieces);
}

/**
 * Unpacks a compressed file piece by piece. What follows its data is ignored: kernels' builds append the size, and
 * boot loaders pad.
 * @param name of the file, for errors
 * @param write is given what comes out; a piece is good only during the call
 * @throws KdumpError `decompress` when the data are damaged or cut off, come to more than `largestUnpacked`, or the
 *   library is not installed; and whatever `write` and `source` throw
 */
export function unpack(source: Source, name: string, write: Write): void {
  const format = formatOf(source.read(0, Math.min(source.size, 8)));
  if (format === undefined) throw new KdumpError('decompress', `${name} is not compressed in a known way`);
  let total = 0;
  const counted: Write = (piece) => {
    total += piece.length;
    if (total > largestUnpacked)
      throw new KdumpError('decompress', `${name}: its ${format.name} data come to more than 1 GiB`);
    write(piece);
  };
  try {
    if (format.unpack(source, format, counted)) return;
  } catch (cause) {
    if (cause instanceof KdumpError) throw cause;
    throw new KdumpError(
      'decompress',
      `${name}: its ${format.name} data cannot be decompressed: ${(cause as Error).message}`,
      { cause },
    );
  }
  throw new KdumpError(
    'decompress',
    `${name} is compressed with ${format.name}, and no library for it is installed`,
    { fix: `Install the package ${format.package}.` },
  );
}
