import type { Sink } from './sink.ts';

/**
 * Writes nothing and counts (--dry-run).
 * @param limit size at which the file would count as full, bytes (-L)
 */
export function openNullSink(
  path: string,
  { limit = Number.POSITIVE_INFINITY }: { limit?: number } = {},
): Sink {
  let written = 0;
  return {
    path,
    get written() {
      return written;
    },
    rewritable: true,
    write(bytes, offset) {
      const done = Math.max(0, Math.min(bytes.length, limit - offset));
      written += done;
      return done;
    },
    reserve() {},
    close() {},
    discard() {},
  };
}
