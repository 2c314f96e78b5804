import { deflateSync } from 'node:zlib';
import { note, pageSize } from './vmcore.ts';

/**
 * Builds kdump-compressed files of every age, written from the format's description and sharing nothing with the
 * writer or the reader: pages raw or deflated, whole or as a part of a split set.
 */
export type KdumpOptions = {
  version?: number;
  blockSize?: number;
  maxMapnr: number;
  /** Pages that are in the dump. */
  pages: ReadonlyMap<number, Uint8Array>;
  /** Pages that exist beyond those. */
  excluded?: readonly number[];
  compress?: boolean;
  dumpLevel?: number;
  status?: number;
  split?: { start: number; end: number };
  machine?: string;
  physBase?: bigint;
  vmcoreinfo?: string;
  eraseinfo?: string;
  /** One bitmap for both purposes, as in files of the time before. */
  oneBitmap?: boolean;
  /** Rewrites a descriptor before it is stored: [offset, size, flags]. */
  describe?: (pfn: number, descriptor: [number, number, number]) => [number, number, number];
};

export function buildKdump(options: KdumpOptions): Buffer {
  const { maxMapnr, pages, split, version = 6, blockSize = pageSize } = options;
  const info = Buffer.from(options.vmcoreinfo ?? `OSRELEASE=6.12.0-test\nPAGESIZE=${blockSize}\n`);
  const before = Buffer.concat([
    note('CORE', 1, Buffer.alloc(336, 1)),
    note('CORE', 1, Buffer.alloc(336, 2)),
  ]);
  const notes = version >= 4 ? Buffer.concat([before, note('VMCOREINFO', 0, info)]) : info;
  const infoAt = version >= 4 ? before.length + 12 + 12 : 0;

  const subBlocks = Math.ceil((104 + notes.length) / blockSize);
  const bitmapBytes = blockSize * Math.ceil(Math.ceil(maxMapnr / 8) / blockSize);
  const bitmaps = options.oneBitmap ? 1 : 2;
  const bitmapAt = (1 + subBlocks) * blockSize;
  const descriptorsAt = bitmapAt + bitmaps * bitmapBytes;
  const dataAt = descriptorsAt + 24 * pages.size;
  const shareZero = ((options.dumpLevel ?? 0) & 1) !== 0;

  const head = Buffer.alloc(dataAt);
  head.write('KDUMP   ', 0, 'latin1');
  head.writeInt32LE(version, 8);
  for (const [i, text] of ['Linux', 'host', '6.12.0-test', '#1', options.machine ?? 'x86_64', ''].entries())
    head.write(text, 12 + 65 * i, 'latin1');
  head.writeBigInt64LE(1700000000n, 408);
  head.writeUInt32LE(options.status ?? 0, 424);
  head.writeInt32LE(blockSize, 428);
  head.writeInt32LE(subBlocks, 432);
  head.writeUInt32LE((bitmaps * bitmapBytes) / blockSize, 436);
  head.writeUInt32LE(maxMapnr, 440);
  head.writeInt32LE(2, 460);

  const sub = head.subarray(blockSize);
  // What a version does not know is not part of its header: rubbish lies there.
  sub.fill(0xaa, 0, 104);
  const put = (since: number, at: number, value: bigint): void => {
    if (version >= since) sub.writeBigUInt64LE(value, at);
  };
  put(0, 0, BigInt.asUintN(64, options.physBase ?? 0x100000n));
  if (version >= 1) sub.writeInt32LE(options.dumpLevel ?? 0, 8);
  if (version >= 2) sub.writeInt32LE(split ? 1 : 0, 12);
  put(2, 16, BigInt(split?.start ?? 0));
  put(2, 24, BigInt(split?.end ?? 0));
  put(3, 32, BigInt(blockSize + 104 + infoAt));
  put(3, 40, BigInt(info.length));
  put(4, 48, BigInt(blockSize + 104));
  put(4, 56, BigInt(notes.length));
  put(6, 80, BigInt(split?.start ?? 0));
  put(6, 88, BigInt(split?.end ?? 0));
  put(6, 96, BigInt(maxMapnr));
  if (version >= 3) notes.copy(sub, 104);

  const set = (at: number, pfn: number): void => {
    head[at + (pfn >> 3)]! |= 1 << (pfn & 7);
  };
  const stored = [...pages.keys()].sort((a, b) => a - b);
  for (const pfn of stored) {
    set(bitmapAt, pfn);
    set(bitmapAt + (bitmaps - 1) * bitmapBytes, pfn);
  }
  for (const pfn of options.excluded ?? []) set(bitmapAt, pfn);

  const data: Uint8Array[] = [];
  let at = dataAt;
  if (shareZero) {
    data.push(Buffer.alloc(blockSize));
    at += blockSize;
  }
  let index = 0;
  for (const pfn of stored) {
    if (split && (pfn < split.start || pfn >= split.end)) continue;
    const page = pages.get(pfn)!;
    let descriptor: [number, number, number];
    if (shareZero && page.every((byte) => byte === 0)) {
      descriptor = [dataAt, blockSize, 0];
    } else {
      const packed = options.compress ? deflateSync(page) : page;
      const bytes = packed.length < blockSize ? packed : page;
      descriptor = [at, bytes.length, bytes === page ? 0 : 1];
      data.push(bytes);
      at += bytes.length;
    }
    const [offset, size, flags] = options.describe?.(pfn, descriptor) ?? descriptor;
    const place = descriptorsAt + 24 * index++;
    head.writeBigUInt64LE(BigInt(offset), place);
    head.writeUInt32LE(size, place + 8);
    head.writeUInt32LE(flags >>> 0, place + 12);
  }
  if (options.eraseinfo) {
    put(5, 64, BigInt(at));
    put(5, 72, BigInt(options.eraseinfo.length));
    data.push(Buffer.from(options.eraseinfo));
  } else {
    put(5, 64, 0n);
    put(5, 72, 0n);
  }
  return Buffer.concat([head, ...data]);
}
