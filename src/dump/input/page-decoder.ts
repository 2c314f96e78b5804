import { type Codec, codecFlag } from '../../formats/diskdump.ts';
import { decompressLzo1x } from '../../formats/lzo.ts';
import { decompressSnappy } from '../../formats/snappy.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { CompressorName } from '../../system/codecs.ts';
import { type Decompressor, openDecompressor } from '../../system/decompressors.ts';
import { addressOf } from '../../system/ffi.ts';

/** A Buffer and the address of its first byte, which is good as long as this object keeps the Buffer. */
export type Memory = { readonly bytes: Buffer; readonly address: number };

export function allocate(length: number): Memory {
  const bytes = Buffer.alloc(length);
  return { bytes, address: addressOf(bytes) };
}

/**
 * Decompresses `length` bytes at source.bytes[at] to target.bytes[targetAt].
 * @returns whether they are exactly one whole page
 */
export type PageDecoder = (
  source: Memory,
  at: number,
  length: number,
  target: Memory,
  targetAt: number,
  pageSize: number,
) => boolean;

/** The codec of a page by page_desc.flags; undefined when they are none of the format's. */
export const codecOf = (flags: number): Codec | undefined => codecByFlag.get(flags);
const codecByFlag = new Map<number, Codec>(
  Object.entries(codecFlag).map(([codec, flag]) => [flag, codec as Codec]),
);

const decoders = new Map<CompressorName, PageDecoder | undefined>();

/**
 * The decoder of a codec: the system's library, or for LZO and snappy our own when it is not installed.
 * @throws KdumpError `no-codec` naming the package
 */
export function pageDecoder(codec: CompressorName): PageDecoder {
  if (!decoders.has(codec)) decoders.set(codec, decoderOver(codec, openDecompressor(codec)));
  const decoder = decoders.get(codec);
  if (decoder === undefined) {
    throw new KdumpError('no-codec', `pages are compressed with ${codec}, and its library is not installed`, {
      fix: `Install ${packages[codec]}.`,
    });
  }
  return decoder;
}

const packages: Readonly<Record<CompressorName, string>> = {
  zlib: 'libdeflate0 (or libdeflate)',
  lzo: 'liblzo2-2 (or lzo)',
  snappy: 'libsnappy1 (or snappy)',
  zstd: 'libzstd1 (or libzstd)',
};

/** The decoder over a library, or without one where we have our own. */
export function decoderOver(
  codec: CompressorName,
  library: Decompressor | undefined,
): PageDecoder | undefined {
  if (library === undefined) return portable[codec];
  return (source, at, length, target, targetAt, pageSize) =>
    library.decompress(source.address + at, length, target.address + targetAt, pageSize);
}

/** Decoders of our own, so that a machine without the libraries can read a dump. zlib is always there. */
const portable: Partial<Record<CompressorName, PageDecoder>> = {
  lzo: (source, at, length, target, targetAt, pageSize) =>
    decompressLzo1x(source.bytes, at, length, target.bytes, targetAt, pageSize),
  snappy: (source, at, length, target, targetAt, pageSize) =>
    decompressSnappy(source.bytes, at, length, target.bytes, targetAt, pageSize),
};
