import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { type FfiFunction, openLibrary } from '../../src/system/ffi.ts';

/**
 * A reader of kdump-compressed files for tests, written from the format's description and sharing nothing with the
 * writer, so that a mistake of the writer cannot hide in it.
 */
export type KdumpFile = {
  readonly headerVersion: number;
  readonly status: number;
  readonly blockSize: number;
  readonly utsname: readonly string[];
  readonly crashTime: number;
  readonly nrCpus: number;
  readonly maxMapnr: number;
  readonly maxMapnr64: number;
  readonly physBase: bigint;
  readonly dumpLevel: number;
  readonly notes: Buffer;
  readonly vmcoreinfo: string;
  readonly bitmap1: Buffer;
  readonly bitmap2: Buffer;
  readonly size: number;
  /** Descriptors of the pages of bitmap 2, in order. */
  readonly descriptors: Buffer;
  readonly descriptorOffset: number;
  readonly dataOffset: number;
  /** Stored bytes of a descriptor, by its index. */
  stored(index: number): { offset: number; size: number; flags: number; bytes: Buffer };
  /** Content of a page, by the index of its descriptor. */
  page(index: number): Buffer;
  close(): void;
};

export function openKdump(path: string): KdumpFile {
  const fd = openSync(path, 'r');
  const { size } = fstatSync(fd);
  const read = (offset: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    const got = readSync(fd, bytes, 0, length, offset);
    return bytes.subarray(0, got);
  };
  const u64 = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));

  const head = read(0, 464);
  if (head.toString('latin1', 0, 8) !== 'KDUMP   ') throw new Error(`${path}: no kdump signature`);
  const blockSize = head.readInt32LE(428);
  const subBlocks = head.readInt32LE(432);
  const bitmapBlocks = head.readUInt32LE(436);
  const sub = read(blockSize, 104);
  const bitmapBytes = (bitmapBlocks / 2) * blockSize;
  const bitmapOffset = (1 + subBlocks) * blockSize;
  const bitmap1 = read(bitmapOffset, bitmapBytes);
  const bitmap2 = read(bitmapOffset + bitmapBytes, bitmapBytes);
  const descriptorOffset = bitmapOffset + 2 * bitmapBytes;
  const count = popcount(bitmap2);
  const descriptors = read(descriptorOffset, count * 24);
  const notes = read(u64(sub, 48), u64(sub, 56));

  const stored = (index: number): { offset: number; size: number; flags: number; bytes: Buffer } => {
    const at = index * 24;
    const offset = u64(descriptors, at);
    const length = descriptors.readUInt32LE(at + 8);
    return { offset, size: length, flags: descriptors.readUInt32LE(at + 12), bytes: read(offset, length) };
  };
  return {
    headerVersion: head.readInt32LE(8),
    utsname: Array.from({ length: 6 }, (_, i) =>
      head.toString('latin1', 12 + i * 65, 77 + i * 65).replace(/\0.*$/s, ''),
    ),
    crashTime: u64(head, 408),
    status: head.readUInt32LE(424),
    blockSize,
    maxMapnr: head.readUInt32LE(440),
    nrCpus: head.readInt32LE(460),
    physBase: sub.readBigUInt64LE(0),
    dumpLevel: sub.readInt32LE(8),
    maxMapnr64: u64(sub, 96),
    notes,
    vmcoreinfo: read(u64(sub, 32), u64(sub, 40)).toString('latin1'),
    bitmap1,
    bitmap2,
    size,
    descriptors,
    descriptorOffset,
    dataOffset: descriptorOffset + 24 * count,
    stored,
    page: (index) => {
      const { bytes, flags } = stored(index);
      return decompress(bytes, flags, blockSize);
    },
    close: () => closeSync(fd),
  };
}

export function popcount(bytes: Uint8Array): number {
  let bits = 0;
  for (let byte of bytes) for (; byte !== 0; byte &= byte - 1) bits++;
  return bits;
}

/** Page frames whose bit is set, ascending. */
export function setBits(bitmap: Uint8Array): number[] {
  const pfns: number[] = [];
  for (let i = 0; i < bitmap.length; i++) {
    for (let bit = 0; bit < 8; bit++) if ((bitmap[i]! & (1 << bit)) !== 0) pfns.push(i * 8 + bit);
  }
  return pfns;
}

function decompress(bytes: Buffer, flags: number, blockSize: number): Buffer {
  const page = flags === 0 ? bytes : decoders[flags]?.(bytes, blockSize);
  if (page === undefined) throw new Error(`page flags ${flags} are none of the format's`);
  if (page.length !== blockSize) throw new Error(`a page of ${page.length} bytes`);
  return page;
}

const decoders: Record<number, (bytes: Buffer, blockSize: number) => Buffer> = {
  1: (bytes) => inflateSync(bytes),
  2: (bytes, blockSize) => {
    const lzo = openLibrary('liblzo2.so.2')!.func(
      'int lzo1x_decompress_safe(const void *src, size_t len, void *dst, void *dst_len, void *work)',
    ) as FfiFunction;
    const out = Buffer.alloc(blockSize);
    const length = Buffer.alloc(8);
    length.writeUInt32LE(blockSize);
    if (lzo(bytes, bytes.length, out, length, null) !== 0) throw new Error('LZO data is corrupt');
    return out.subarray(0, length.readUInt32LE(0));
  },
  32: (bytes, blockSize) => {
    const zstd = openLibrary('libzstd.so.1', true)!.func(
      'size_t ZSTD_decompress(void *dst, size_t room, const void *src, size_t len)',
    ) as FfiFunction;
    const out = Buffer.alloc(blockSize);
    return out.subarray(0, Number(zstd(out, blockSize, bytes, bytes.length)));
  },
};
