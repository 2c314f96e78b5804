import { type FfiFunction, openLibrary } from './ffi.ts';
import { room, type Source, type Write } from './unpack-streams.ts';

/** What a block of the legacy format holds, except the last one, which may hold less. */
const blockSize = 8 * 1024 * 1024;
/** LZ4_COMPRESSBOUND. */
const largestBlock = blockSize + Math.floor(blockSize / 255) + 16;

/**
 * Unpacks lz4's legacy format, which the kernel's own build makes (`lz4 -l`): a magic, then blocks, each behind its
 * length in 32 bits, little-endian, to the end of the file. The build appends the unpacked size to that.
 * Source: lz4_Frame_format.md, "Legacy frame"; lib/decompress_unlz4.c of Linux.
 * @returns false when liblz4 is not installed
 * @throws Error that says where the data are damaged; and whatever `write` and `source` throw
 */
export function unpackLz4Blocks(source: Source, magic: readonly number[], write: Write): boolean {
  const library = openLibrary('liblz4.so.1');
  if (library === undefined) return false;
  const decompress = library.func(
    'int LZ4_decompress_safe(uintptr_t src, uintptr_t dst, int compressedSize, int dstCapacity)',
  ) as FfiFunction;
  const [input, output] = [room(largestBlock), room(blockSize)];
  const magicNumber = Buffer.from(magic).readUInt32LE();

  let at = magic.length;
  let unpacked = 0;
  while (at + 4 <= source.size) {
    const length = Buffer.from(source.read(at, 4)).readUInt32LE();
    // A second file behind the first one.
    if (length === magicNumber) {
      at += 4;
      continue;
    }
    // The size that the kernel's build appends, or padding: nothing that could be a block.
    if (unpacked > 0 && (length === 0 || (length === unpacked && at + 4 === source.size))) break;
    if (length === 0 || length > largestBlock)
      throw new Error(`the block at byte ${at} claims ${length} bytes, ${largestBlock} are possible`);
    if (at + 4 + length > source.size)
      throw new Error(
        `they end too early: the block at byte ${at} has ${length} bytes, the file ends before`,
      );
    input.bytes.set(source.read(at + 4, length));
    const written = Number(decompress(input.address, output.address, length, blockSize));
    if (written <= 0) throw new Error(`the block at byte ${at} is damaged`);
    write(output.bytes.subarray(0, written));
    unpacked += written;
    at += 4 + length;
  }
  if (unpacked === 0) throw new Error('they end too early: there is no block');
  return true;
}
