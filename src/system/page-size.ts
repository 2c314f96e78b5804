import { readBytes } from './proc.ts';

/** Of the auxiliary vector, linux/auxvec.h: pairs of 64-bit words. */
const AT_PAGESZ = 6n;
const usual = 4096;

/** Bytes of a page of the running kernel. */
export function readPageSize(root = '/'): number {
  const vector = Buffer.from(readBytes(root, 'proc/self/auxv') ?? []);
  for (let at = 0; at + 16 <= vector.length; at += 16)
    if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8));
  return usual;
}
