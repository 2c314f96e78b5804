import { layout, readStruct, writeStruct } from '../lib/layout.ts';
import { addressOf, type FfiFunction, openLibrary, sizeArgument } from './ffi.ts';

/**
 * Decoders of compressed streams over the system's own libraries: piece in, piece out, so that the memory they need
 * does not grow with what comes out. A decoder decodes one member (gzip), frame (zstd, lz4) or stream (xz, lzma).
 */
export type StreamDecoder = {
  /**
   * Decodes from `length` bytes at address `source` into `room` bytes at address `target`, until one of them is used up.
   * @throws Error in the library's words when the data are damaged
   */
  step(source: number, length: number, target: number, room: number): Step;
  close(): void;
};

export type Step = { readonly read: number; readonly written: number; readonly ended: boolean };

/** zlib's z_stream and liblzma's lzma_stream begin alike, but that zlib counts in 32 bits with 4 unused bytes behind. */
const stream = layout('z_stream or lzma_stream', 136, {
  next_in: [0, 'a64'],
  avail_in: [8, 'u64'],
  next_out: [24, 'a64'],
  avail_out: [32, 'u64'],
});
/** sizeof(z_stream), which zlib compares with its own. */
const zStreamSize = 112;

/** A library's state that is told about pieces through a structure. */
class StreamState {
  readonly #bytes = Buffer.alloc(stream.size);
  readonly address = addressOf(this.#bytes);

  /** Points the structure at the pieces, has the library work, and sees how far it came. */
  step([source, length, target, room]: readonly [number, number, number, number], work: () => boolean): Step {
    writeStruct(stream, this.#bytes, 0, {
      next_in: BigInt(source),
      avail_in: length,
      next_out: BigInt(target),
      avail_out: room,
    });
    const ended = work();
    const { avail_in, avail_out } = readStruct(stream, this.#bytes);
    return { read: length - avail_in, written: room - avail_out, ended };
  }
}

const Z_STREAM_END = 1;
const Z_BUF_ERROR = -5;
/** The largest window, and a gzip header is expected. */
const gzipWindow = 15 + 16;

/** One gzip member, by the zlib that node brings along and exports: always there. */
export function gzipDecoder(): StreamDecoder {
  const library = openLibrary(null)!;
  const version = (library.func('const char *zlibVersion()') as FfiFunction)() as string;
  const init = library.func(
    'int inflateInit2_(uintptr_t stream, int windowBits, const char *version, int stream_size)',
  ) as FfiFunction;
  const inflate = library.func('int inflate(uintptr_t stream, int flush)') as FfiFunction;
  const end = library.func('int inflateEnd(uintptr_t stream)') as FfiFunction;
  const state = new StreamState();
  check('inflateInit2', init(state.address, gzipWindow, version, zStreamSize));
  return {
    step: (...pieces) =>
      state.step(pieces, () => {
        const status = inflate(state.address, 0);
        if (status === Z_STREAM_END) return true;
        // Nothing to do with what there is: not an error yet.
        if (status !== Z_BUF_ERROR) check('inflate', status);
        return false;
      }),
    close: () => {
      end(state.address);
    },
  };
}

const LZMA_STREAM_END = 1;
const LZMA_BUF_ERROR = 10;
/** The dictionary of an xz kernel is up to 128 MiB. */
const lzmaMemory = 256 * 1024 * 1024;

/** One stream of xz or the older .lzma, told by its beginning; undefined when liblzma is not installed. */
export function lzmaDecoder(): StreamDecoder | undefined {
  const library = openLibrary('liblzma.so.5');
  if (library === undefined) return undefined;
  const init = library.func(
    'int lzma_auto_decoder(uintptr_t stream, uint64_t memlimit, uint32_t flags)',
  ) as FfiFunction;
  const code = library.func('int lzma_code(uintptr_t stream, int action)') as FfiFunction;
  const end = library.func('void lzma_end(uintptr_t stream)') as FfiFunction;
  const state = new StreamState();
  check('lzma_auto_decoder', init(state.address, lzmaMemory, 0));
  return {
    step: (...pieces) =>
      state.step(pieces, () => {
        const status = code(state.address, 0);
        if (status === LZMA_STREAM_END) return true;
        if (status !== LZMA_BUF_ERROR) check('lzma_code', status);
        return false;
      }),
    close: () => {
      end(state.address);
    },
  };
}

/** ZSTD_inBuffer and ZSTD_outBuffer. */
const zstdBuffer = layout('ZSTD_buffer', 24, { address: [0, 'a64'], size: [8, 'u64'], pos: [16, 'u64'] });

/** One zstd frame; undefined when neither libzstd is installed nor node brings its own (22.15 and later). */
export function zstdDecoder(): StreamDecoder | undefined {
  for (const soname of ['libzstd.so.1', null]) {
    // Its own symbols first: node may export another zstd.
    const library = openLibrary(soname, soname !== null);
    if (library === undefined) continue;
    let create: FfiFunction;
    try {
      create = library.func('intptr_t ZSTD_createDCtx()') as FfiFunction;
    } catch {
      continue;
    }
    const decompress = library.func(
      'size_t ZSTD_decompressStream(uintptr_t dctx, uintptr_t output, uintptr_t input)',
    ) as FfiFunction;
    const isError = library.func('unsigned int ZSTD_isError(size_t code)') as FfiFunction;
    const errorName = library.func('const char *ZSTD_getErrorName(size_t code)') as FfiFunction;
    const free = library.func('size_t ZSTD_freeDCtx(uintptr_t dctx)') as FfiFunction;
    const input = Buffer.alloc(zstdBuffer.size);
    const output = Buffer.alloc(zstdBuffer.size);
    const [inputAddress, outputAddress] = [addressOf(input), addressOf(output)];
    const context = Number(create());
    return {
      step: (source, length, target, room) => {
        writeStruct(zstdBuffer, input, 0, { address: BigInt(source), size: length, pos: 0 });
        writeStruct(zstdBuffer, output, 0, { address: BigInt(target), size: room, pos: 0 });
        const left = decompress(context, outputAddress, inputAddress) as number | bigint;
        if (isError(left) !== 0) throw new Error(String(errorName(left)));
        return {
          read: readStruct(zstdBuffer, input).pos,
          written: readStruct(zstdBuffer, output).pos,
          ended: Number(left) === 0,
        };
      },
      close: () => {
        free(context);
      },
    };
  }
  return undefined;
}

/** LZ4F_VERSION of lz4frame.h. */
const lz4FrameVersion = 100;

/** One lz4 frame; undefined when liblz4 is not installed. */
export function lz4FrameDecoder(): StreamDecoder | undefined {
  const library = openLibrary('liblz4.so.1');
  if (library === undefined) return undefined;
  const create = library.func(
    'size_t LZ4F_createDecompressionContext(uintptr_t context, unsigned int version)',
  ) as FfiFunction;
  const decompress = library.func(
    'size_t LZ4F_decompress(uintptr_t context, uintptr_t dst, uintptr_t dstSize, uintptr_t src, uintptr_t srcSize, void *options)',
  ) as FfiFunction;
  const isError = library.func('unsigned int LZ4F_isError(size_t code)') as FfiFunction;
  const errorName = library.func('const char *LZ4F_getErrorName(size_t code)') as FfiFunction;
  const free = library.func('size_t LZ4F_freeDecompressionContext(uintptr_t context)') as FfiFunction;
  const [pointer, read, written] = [sizeArgument(), sizeArgument(), sizeArgument()];
  const orThrow = (code: number | bigint): number => {
    if (isError(code) !== 0) throw new Error(String(errorName(code)));
    return Number(code);
  };
  orThrow(create(pointer.address, lz4FrameVersion) as number | bigint);
  const context = pointer.get();
  return {
    step: (source, length, target, room) => {
      read.set(length);
      written.set(room);
      const left = decompress(context, target, written.address, source, read.address, null);
      return { ended: orThrow(left as number | bigint) === 0, read: read.get(), written: written.get() };
    },
    close: () => {
      free(context);
    },
  };
}

/** What zlib's and liblzma's answers mean; the numbers do not overlap but for 1, which is no error in either. */
const answers: Readonly<Record<number, string>> = {
  [-2]: 'the library finds its state damaged',
  [-3]: 'the data are damaged',
  [-4]: 'no memory',
  [-6]: 'the library is of another version',
  2: 'a dictionary is needed, or there is no check of integrity',
  5: 'no memory',
  6: `more than ${lzmaMemory / 1024 / 1024} MiB of memory would be needed`,
  7: 'not a file of this format',
  8: 'options that this version of the library does not know',
  9: 'the data are damaged',
  11: 'the library was used wrongly',
};

function check(call: string, status: unknown): void {
  if (status !== 0) throw new Error(`${answers[Number(status)] ?? 'failed'} (${call} answers ${status})`);
}
