import { createHash } from 'node:crypto';
import type { Segment } from './segment.ts';

const zeros = new Uint8Array(64 * 1024);

/**
 * SHA-256 over the memory of all verified segments in their order, as the purgatory will find it: the bytes, and zeros
 * up to memsz, which need not be there to be counted.
 */
export function digestOfSegments(segments: readonly Segment[]): Uint8Array {
  const hash = createHash('sha256');
  for (const { bytes, memsz } of segments.filter(({ verified }) => verified)) {
    hash.update(bytes);
    for (let left = memsz - bytes.length; left > 0; left -= zeros.length)
      hash.update(left < zeros.length ? zeros.subarray(0, left) : zeros);
  }
  return hash.digest();
}
