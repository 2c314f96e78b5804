import type { PageBitmap } from '../../lib/bitmap.ts';
import type { DumpSource } from '../input/source.ts';

/** Tells whether bytes[at, at + page size) is all zero. */
export type ZeroTest = (bytes: Buffer, at: number) => boolean;

/** @param pageSize bytes */
export function zeroTest(pageSize: number): ZeroTest {
  const zeros = Buffer.alloc(pageSize);
  // Most pages that are not zero show it in their first eight bytes.
  return (bytes, at) =>
    bytes.readInt32LE(at) === 0 &&
    bytes.readInt32LE(at + 4) === 0 &&
    bytes.compare(zeros, 0, pageSize, at, at + pageSize) === 0;
}

/**
 * Takes the pages that are all zero out of a bitmap. Pages that cannot be read stay: who writes them will tell.
 * @param pageSize bytes
 * @returns how many they were
 */
export function clearZeroPages(source: DumpSource, bitmap: PageBitmap, pageSize: number): number {
  const isZero = zeroTest(pageSize);
  const reader = source.pages(pageSize, bitmap);
  let cleared = 0;
  for (let pfn = bitmap.nextSet(bitmap.first); pfn < bitmap.end; pfn = bitmap.nextSet(pfn + 1)) {
    if (reader.load(pfn) !== undefined || !isZero(reader.bytes, reader.at)) continue;
    bitmap.clear(pfn);
    cleared++;
  }
  return cleared;
}
