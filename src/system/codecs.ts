import { addressOf, type FfiFunction, openLibrary, sizeArgument } from './ffi.ts';

/**
 * Page compressors over the system's own libraries, called with addresses so that a page is compressed from where it
 * was read to where it will be written from. One call costs about 0.1 µs more than from C.
 */
export type Compressor = {
  /** Library that does the work, for the report. */
  readonly library: string;
  /** Room that `compress` may need behind `target` for a source of `length` bytes, at worst. */
  bound(length: number): number;
  /**
   * Compresses `length` bytes at address `source` to address `target`.
   * @param pfn page frame that they are of: the result depends on it and on the bytes alone
   * @returns bytes written, or 0 when the result would not be smaller than `length`
   */
  compress(source: number, length: number, target: number, pfn: number): number;
};

export const compressorNames = ['zlib', 'lzo', 'snappy', 'zstd'] as const;
export type CompressorName = (typeof compressorNames)[number];

/** Level of makedumpfile for every codec that has levels: speed counts, and a reader sees no difference. */
const level = 1;

/** The best library at hand for a codec, or undefined when none is installed. */
export function openCompressor(name: CompressorName): Compressor | undefined {
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

/**
 * libdeflate: the same zlib stream as any other, at two to three times zlib's speed. Of kernel memory its level 1 makes
 * 0.6 % more than zlib's, so every fourth page is compressed at level 2, which makes 3 % less in a fifth more time.
 */
function libdeflate(): Compressor | undefined {
  const library = openLibrary('libdeflate.so.0');
  if (library === undefined) return undefined;
  const allocate = library.func('intptr_t libdeflate_alloc_compressor(int level)') as FfiFunction;
  const deflate = library.func(
    'size_t libdeflate_zlib_compress(uintptr_t compressor, uintptr_t in, size_t in_nbytes, uintptr_t out, size_t out_nbytes_avail)',
  ) as FfiFunction;
  const fast = Number(allocate(level));
  const small = Number(allocate(level + 1));
  return {
    library: 'libdeflate',
    bound: (length) => length,
    // It gives up by itself, with 0, as soon as the output would not be smaller.
    compress: (source, length, target, pfn) =>
      Number(deflate((pfn & 3) === 0 ? small : fast, source, length, target, length - 1)),
  };
}

/** The zlib that node brings along and exports: slower, but always there. */
function nodeZlib(): Compressor {
  const compress2 = openLibrary(null)!.func(
    'int compress2(uintptr_t dest, uintptr_t destLen, uintptr_t source, unsigned long sourceLen, int level)',
  ) as FfiFunction;
  const room = sizeArgument();
  return {
    library: `zlib ${process.versions.zlib}`,
    bound: (length) => length,
    compress: (source, length, target) => {
      // Room for one byte less than the page: Z_BUF_ERROR then means "not smaller".
      room.set(length - 1);
      return compress2(target, room.address, source, length, level) === 0 ? room.get() : 0;
    },
  };
}

/** LZO1X-1, bit for bit as the original: liblzo2 with one work area kept. */
function lzo(): Compressor | undefined {
  const library = openLibrary('liblzo2.so.2');
  if (library === undefined) return undefined;
  const lzo1x = library.func(
    'int lzo1x_1_compress(uintptr_t src, size_t src_len, uintptr_t dst, uintptr_t dst_len, uintptr_t wrkmem)',
  ) as FfiFunction;
  // LZO1X_1_MEM_COMPRESS: 16384 pointers.
  const workArea = Buffer.alloc(16384 * 8);
  const work = { bytes: workArea, address: addressOf(workArea) };
  const written = sizeArgument();
  return {
    library: 'liblzo2',
    bound: (length) => length + Math.floor(length / 16) + 67,
    compress: (source, length, target) => {
      const status = lzo1x(source, length, target, written.address, work.address);
      const size = written.get();
      return status === 0 && size < length ? size : 0;
    },
  };
}

/** libsnappy through its C interface: raw blocks, not the framing format. */
function snappy(): Compressor | undefined {
  const library = openLibrary('libsnappy.so.1');
  if (library === undefined) return undefined;
  const compressBlock = library.func(
    'int snappy_compress(uintptr_t input, size_t input_length, uintptr_t compressed, uintptr_t compressed_length)',
  ) as FfiFunction;
  const maxLength = library.func('size_t snappy_max_compressed_length(size_t length)') as FfiFunction;
  const bound = (length: number): number => Number(maxLength(length));
  const written = sizeArgument();
  // It refuses to begin with less room than the bound.
  let capacityFor = 0;
  let capacity = 0;
  return {
    library: 'libsnappy',
    bound,
    compress: (source, length, target) => {
      if (capacityFor !== length) {
        capacityFor = length;
        capacity = bound(length);
      }
      written.set(capacity);
      const status = compressBlock(source, length, target, written.address);
      const size = written.get();
      return status === 0 && size < length ? size : 0;
    },
  };
}

/** libzstd with one context reused; its own symbols first, because node 22 and later export another zstd. */
function zstd(): Compressor | undefined {
  const library = openLibrary('libzstd.so.1', true);
  if (library === undefined) return undefined;
  const create = library.func('intptr_t ZSTD_createCCtx()') as FfiFunction;
  const compressBound = library.func('size_t ZSTD_compressBound(size_t size)') as FfiFunction;
  const compressContext = library.func(
    'size_t ZSTD_compressCCtx(uintptr_t cctx, uintptr_t dst, size_t dstCapacity, uintptr_t src, size_t srcSize, int level)',
  ) as FfiFunction;
  const context = Number(create());
  const bound = (length: number): number => Number(compressBound(length));
  // The capacity is always the bound: zstd chooses differently when it is short of room.
  let capacityFor = 0;
  let capacity = 0;
  return {
    library: 'libzstd',
    bound,
    compress: (source, length, target) => {
      if (capacityFor !== length) {
        capacityFor = length;
        capacity = bound(length);
      }
      const size = Number(compressContext(context, target, capacity, source, length, level));
      // An error is a huge size_t, so one comparison tells both "failed" and "not smaller".
      return size < length ? size : 0;
    },
  };
}
