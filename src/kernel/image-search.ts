import type { VirtualRange } from './image.ts';
import type { VirtualMemory } from './memory.ts';

/** Bytes that are searched at once. */
const pieceBytes = 2 ** 20;
const smallestPage = 4096;
/** Bytes that a search looks at in all: a kernel image is well below that, damaged page tables are not. */
const maxSearchBytes = 2 ** 28;

/**
 * Addresses at which `needle` stands in the mapped memory of a range, in ascending order. What is not mapped or cannot
 * be read is passed over; a match never crosses it.
 */
export function* searchMemory(
  memory: VirtualMemory,
  range: VirtualRange,
  needle: Uint8Array,
): Generator<bigint> {
  const keep = needle.length - 1;
  const buffer = Buffer.alloc(keep + pieceBytes);
  /** Bytes at the start of `buffer` that end right before `next`. */
  let carried = 0;
  let next = range.start;
  let searched = 0;
  for (const run of memory.mappedRuns(range.start, range.end)) {
    if (run.vaddr !== next) carried = 0;
    let pageByPage = 0;
    for (let done = 0; done < run.length && searched < maxSearchBytes; ) {
      const length = Math.min(done < pageByPage ? smallestPage : pieceBytes, run.length - done);
      const at = run.vaddr + BigInt(done);
      const piece = buffer.subarray(carried, carried + length);
      if (memory.readPhysicalInto(run.paddr + done, piece) !== undefined) {
        // A dump that was filtered lacks single pages: the others of the piece are looked at one by one.
        if (done >= pageByPage && length > smallestPage) {
          pageByPage = done + length;
          continue;
        }
        carried = 0;
        searched += length;
        done += length;
        continue;
      }
      searched += length;
      done += length;
      const bytes = buffer.subarray(0, carried + length);
      for (let hit = bytes.indexOf(needle); hit >= 0; hit = bytes.indexOf(needle, hit + 1))
        yield at + BigInt(hit - carried);
      const left = Math.min(keep, bytes.length);
      bytes.copyWithin(0, bytes.length - left);
      carried = left;
    }
    next = run.vaddr + BigInt(run.length);
    if (searched >= maxSearchBytes) return;
  }
}
