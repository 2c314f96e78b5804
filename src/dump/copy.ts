import type { PageBitmap } from '../lib/bitmap.ts';
import type { Progress } from '../lib/progress.ts';
import { addressOf } from '../system/ffi.ts';
import type { KdumpWriter } from './kdump-writer.ts';
import type { PageCompressor } from './page-compressor.ts';
import { maxViewBytes, type Vmcore } from './vmcore.ts';

/** Excluded pages that are read along rather than skipped: one more read costs about as much as copying these. */
const gapPages = 8;

/** What is copied, from where to where. */
export type CopyWork = {
  readonly vmcore: Vmcore;
  /** Pages to copy, and their number. */
  readonly bitmap: PageBitmap;
  readonly total: number;
  /** Bytes. */
  readonly pageSize: number;
  readonly compressor: PageCompressor;
  /** Refer to the shared zero page instead of storing zeros. */
  readonly shareZero: boolean;
  readonly writer: KdumpWriter;
};

/**
 * Copies every page of `bitmap` into the dump, in ascending order. Pages are compressed from where they were read (or
 * mapped) straight into the writer's buffer.
 * @returns how many pages were all zero (0 unless zero pages are shared)
 */
export function copyPages(work: CopyWork, progress: Progress): number {
  const { vmcore, bitmap, total, pageSize, shareZero, writer } = work;
  const { codec, compressor } = work.compressor;
  const zeroPage = Buffer.alloc(pageSize);
  const partial = Buffer.alloc(pageSize);
  const partialAddress = addressOf(partial);
  let zero = 0;
  let done = 0;
  if (shareZero) writer.storeZeroPage(pageSize);

  const store = (bytes: Buffer, address: number, at: number): void => {
    if (shareZero && isZero(bytes, at)) {
      zero++;
      writer.commitZero(pageSize);
      return;
    }
    const target = writer.target(pageSize);
    const size = compressor === undefined ? 0 : compressor.compress(address + at, pageSize, target);
    if (size > 0) writer.commit(size, codec);
    else writer.commitRaw(bytes, at, pageSize);
  };
  // Most pages that are not zero show it in their first eight bytes.
  const isZero = (bytes: Buffer, at: number): boolean =>
    bytes.readInt32LE(at) === 0 &&
    bytes.readInt32LE(at + 4) === 0 &&
    bytes.compare(zeroPage, 0, pageSize, at, at + pageSize) === 0;

  let extentIndex = 0;
  let pfn = bitmap.nextSet(0);
  while (pfn < bitmap.length) {
    while (vmcore.extents[extentIndex]!.end <= pfn * pageSize) extentIndex++;
    const extent = vmcore.extents[extentIndex]!;
    const wholeEnd = Math.floor(extent.end / pageSize);
    if (pfn * pageSize < extent.start || pfn >= wholeEnd) {
      vmcore.readPartialPage(pfn * pageSize, partial);
      store(partial, partialAddress, 0);
      done++;
      pfn = bitmap.nextSet(pfn + 1);
      continue;
    }
    const end = clusterEnd(bitmap, pfn, Math.min(wholeEnd, pfn + maxViewBytes / pageSize));
    const view = vmcore.view(extent.offset + pfn * pageSize - extent.start, (end - pfn) * pageSize);
    for (let p = pfn, at = view.at; p < end; p++, at += pageSize) {
      if (!bitmap.has(p)) continue;
      store(view.bytes, view.address, at);
      done++;
    }
    progress('Copying data', done, total);
    pfn = bitmap.nextSet(end);
  }
  return zero;
}

/** End of a run of pages that are worth reading in one go, at most `limit`. */
function clusterEnd(bitmap: PageBitmap, start: number, limit: number): number {
  let end = bitmap.nextClear(start);
  while (end < limit) {
    const next = bitmap.nextSet(end);
    if (next - end > gapPages || next >= limit) break;
    end = bitmap.nextClear(next);
  }
  return Math.min(end, limit);
}
