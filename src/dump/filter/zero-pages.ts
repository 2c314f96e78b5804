import type { PageBitmap } from '../../lib/bitmap.ts';
import type { DumpSource } from '../input/source.ts';

/**
 * Takes the pages that are all zero out of a bitmap. Pages that cannot be read stay: who writes them will tell.
 * @param pageSize bytes
 * @returns how many they were
 */
export function clearZeroPages(source: DumpSource, bitmap: PageBitmap, pageSize: number): number {
  const zeros = Buffer.alloc(pageSize);
  const reader = source.pages(pageSize, bitmap);
  let cleared = 0;
  for (let pfn = bitmap.nextSet(bitmap.first); pfn < bitmap.end; pfn = bitmap.nextSet(pfn + 1)) {
    if (reader.load(pfn) !== undefined) continue;
    const { bytes, at } = reader;
    // Most pages that are not zero show it in their first eight bytes.
    if (bytes.readInt32LE(at) !== 0 || bytes.readInt32LE(at + 4) !== 0) continue;
    if (bytes.compare(zeros, 0, pageSize, at, at + pageSize) !== 0) continue;
    bitmap.clear(pfn);
    cleared++;
  }
  return cleared;
}
