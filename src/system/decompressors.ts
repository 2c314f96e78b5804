import type { CompressorName } from './codecs.ts';
import { type FfiFunction, openLibrary, sizeArgument } from './ffi.ts';

/**
 * Page decompressors over the system's own libraries, called with addresses like the compressors: from where a page
 * was read to where it is wanted.
 */
export type Decompressor = {
  /** Library that does the work. */
  readonly library: string;
  /**
   * Decompresses `length` bytes at address `source` to address `target`.
   * @returns whether they are a whole, valid page of exactly `pageSize` bytes; if not, `target` is in any state, but
   *   nothing beyond its `pageSize` bytes was touched
   */
  decompress(source: number, length: number, target: number, pageSize: number): boolean;
};

/** The best library at hand for a codec, or undefined when none is installed. */
export function openDecompressor(name: CompressorName): Decompressor | undefined {
  switch (name) {
    case 'zlib':
      return libdeflate() ?? nodeZlib();
    case 'lzo':
      return lzo();
    case 'snappy':
      return snappy();
    case 'zstd':
      return zstd();
  }
}

/** libdeflate reads any zlib stream, at about one and a half times zlib's speed. */
function libdeflate(): Decompressor | undefined {
  const library = openLibrary('libdeflate.so.0');
  if (library === undefined) return undefined;
  const allocate = library.func('intptr_t libdeflate_alloc_decompressor()') as FfiFunction;
  const inflate = library.func(
    'int libdeflate_zlib_decompress(uintptr_t decompressor, uintptr_t in, size_t in_nbytes, uintptr_t out, size_t out_nbytes_avail, uintptr_t actual_out_nbytes)',
  ) as FfiFunction;
  const context = Number(allocate());
  return {
    library: 'libdeflate',
    // Not asked for the length, it fails unless the output is exactly as long as its room.
    decompress: (source, length, target, pageSize) =>
      inflate(context, source, length, target, pageSize, 0) === 0,
  };
}

/** The zlib that node brings along and exports: always there. */
export function nodeZlib(): Decompressor {
  const uncompress = openLibrary(null)!.func(
    'int uncompress(uintptr_t dest, uintptr_t destLen, uintptr_t source, unsigned long sourceLen)',
  ) as FfiFunction;
  const room = sizeArgument();
  return {
    library: `zlib ${process.versions.zlib}`,
    decompress: (source, length, target, pageSize) => {
      room.set(pageSize);
      return uncompress(target, room.address, source, length) === 0 && room.get() === pageSize;
    },
  };
}

/** LZO1X by the checking decoder of liblzo2. */
function lzo(): Decompressor | undefined {
  const library = openLibrary('liblzo2.so.2');
  if (library === undefined) return undefined;
  const lzo1x = library.func(
    'int lzo1x_decompress_safe(uintptr_t src, size_t src_len, uintptr_t dst, uintptr_t dst_len, void *wrkmem)',
  ) as FfiFunction;
  const room = sizeArgument();
  return {
    library: 'liblzo2',
    decompress: (source, length, target, pageSize) => {
      room.set(pageSize);
      return lzo1x(source, length, target, room.address, null) === 0 && room.get() === pageSize;
    },
  };
}

/** libsnappy through its C interface; raw blocks, not the framing format. */
function snappy(): Decompressor | undefined {
  const library = openLibrary('libsnappy.so.1');
  if (library === undefined) return undefined;
  const uncompress = library.func(
    'int snappy_uncompress(uintptr_t compressed, size_t compressed_length, uintptr_t uncompressed, uintptr_t uncompressed_length)',
  ) as FfiFunction;
  const room = sizeArgument();
  return {
    library: 'libsnappy',
    decompress: (source, length, target, pageSize) => {
      room.set(pageSize);
      return uncompress(source, length, target, room.address) === 0 && room.get() === pageSize;
    },
  };
}

/**
 * libzstd with one context reused; its own symbols first, as in the compressor. Without it, the one that node 22.15
 * and later export.
 */
function zstd(): Decompressor | undefined {
  for (const [soname, name] of [
    ['libzstd.so.1', 'libzstd'],
    [null, `zstd of node ${process.version}`],
  ] as const) {
    const library = openLibrary(soname, soname !== null);
    if (library === undefined) continue;
    let create: FfiFunction;
    let decompressContext: FfiFunction;
    try {
      create = library.func('intptr_t ZSTD_createDCtx()') as FfiFunction;
      decompressContext = library.func(
        'size_t ZSTD_decompressDCtx(uintptr_t dctx, uintptr_t dst, size_t dstCapacity, uintptr_t src, size_t srcSize)',
      ) as FfiFunction;
    } catch {
      continue;
    }
    const context = Number(create());
    return {
      library: name,
      // An error is a huge size_t, so it is none of ours.
      decompress: (source, length, target, pageSize) =>
        Number(decompressContext(context, target, pageSize, source, length)) === pageSize,
    };
  }
  return undefined;
}
