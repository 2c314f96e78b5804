import * as zlib from 'node:zlib';
import { KdumpError } from '../lib/errors.ts';
import { findProgram, runOrThrow } from './processes.ts';

/** What kernel packages compress modules and images with, told by the first bytes, never by the name. */
const formats = [
  { name: 'gzip', magic: [0x1f, 0x8b] },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd] },
] as const;
type Format = (typeof formats)[number]['name'];

const packages: Readonly<Record<'xz' | 'zstd', string>> = { xz: 'xz-utils (or xz)', zstd: 'zstd' };

/** zlib.zstdDecompressSync is there from Node 22.15 on; before, zstd(1) does it. */
const builtinZstd = (zlib as { zstdDecompressSync?: (bytes: Uint8Array) => Buffer }).zstdDecompressSync;

/** Compression of a file that begins with these bytes; undefined for a plain file. */
export function compressionOf(bytes: Uint8Array): Format | undefined {
  return formats.find(({ magic }) => magic.every((byte, index) => bytes[index] === byte))?.name;
}

/**
 * The plain content of a file that may be compressed with gzip, xz or zstd.
 * @param name of the file, for errors
 * @throws KdumpError `decompress` naming the file, and the package to install when the decompressor is missing.
 */
export function decompress(bytes: Uint8Array, name: string): Uint8Array {
  const format = compressionOf(bytes);
  if (format === undefined) return bytes;
  try {
    if (format === 'gzip') return zlib.gunzipSync(bytes);
    if (format === 'zstd' && builtinZstd !== undefined) return builtinZstd(bytes);
    if (findProgram(format) === undefined)
      throw new KdumpError(
        'decompress',
        `${name} is compressed with ${format}, and ${format} is not installed`,
        {
          fix: `Install the package ${packages[format]}.`,
        },
      );
    return runOrThrow(findProgram(format)!, ['-d', '-c'], { input: bytes, timeout: 60 }).stdout;
  } catch (error) {
    if (error instanceof KdumpError && error.code === 'decompress') throw error;
    const cause = error instanceof Error ? error.message : String(error);
    throw new KdumpError('decompress', `${name}: its ${format} data cannot be decompressed: ${cause}`, {
      cause: error,
    });
  }
}
