import { type FfiFunction, openLibrary } from '../../src/system/ffi.ts';

/** Bytes in one frame, as `lz4` makes it. */
export function lz4Frame(bytes: Uint8Array): Buffer {
  const lz4 = openLibrary('liblz4.so.1')!;
  const bound = lz4.func('size_t LZ4F_compressFrameBound(size_t size, void *options)') as FfiFunction;
  const compress = lz4.func(
    'size_t LZ4F_compressFrame(_Out_ uint8_t *dst, size_t room, const uint8_t *src, size_t size, void *options)',
  ) as FfiFunction;
  const packed = Buffer.alloc(Number(bound(bytes.length, null)));
  return packed.subarray(0, Number(compress(packed, packed.length, bytes, bytes.length, null)));
}

/** Bytes in the legacy format, as `lz4 -l` makes it: blocks of 8 MiB behind their lengths. */
export function lz4Blocks(bytes: Uint8Array): Buffer {
  const lz4 = openLibrary('liblz4.so.1')!;
  const compress = lz4.func(
    'int LZ4_compress_default(const uint8_t *src, _Out_ uint8_t *dst, int size, int room)',
  ) as FfiFunction;
  const u32 = (value: number): Buffer => {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(value);
    return word;
  };
  const pieces = [u32(0x184c2102)];
  for (let at = 0; at < bytes.length; at += 8 * 1024 * 1024) {
    const block = bytes.subarray(at, at + 8 * 1024 * 1024);
    const packed = Buffer.alloc(block.length + Math.floor(block.length / 255) + 16);
    const size = Number(compress(block, packed, block.length, packed.length));
    pieces.push(u32(size), packed.subarray(0, size));
  }
  return Buffer.concat(pieces);
}
