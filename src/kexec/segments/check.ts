import { KdumpError } from '../../lib/errors.ts';
import { type Range, subtract, totalLength } from '../../lib/ranges.ts';
import { exitCodes } from '../uapi.ts';
import { hex, PAGE } from './placement.ts';
import type { Segment } from './segment.ts';

/** KEXEC_SEGMENT_MAX of linux/kexec.h. */
const MOST_SEGMENTS = 16;

const rangeOf = ({ mem, memsz }: Segment): Range => ({ start: mem, end: mem + memsz });

/**
 * What the kernel tests of a list of segments (sanity_check_segment_list() in kernel/kexec_core.c): it does so when it
 * has dropped the old crash image, so it is tested here first.
 * @param ram all that the running kernel may manage; it lends half of it at most
 * @throws KdumpError `too-many-segments`, `bad-segment`, `image-too-large`
 */
export function checkSegments(
  segments: readonly Segment[],
  allowed: readonly Range[],
  ram: readonly Range[],
): void {
  if (segments.length > MOST_SEGMENTS)
    throw refuse(
      'too-many-segments',
      `the load takes ${segments.length} segments; the kernel allows ${MOST_SEGMENTS}`,
    );
  for (const [i, segment] of segments.entries()) {
    const { start, end } = rangeOf(segment);
    const bad = (why: string) =>
      refuse('bad-segment', `the segment for ${segment.name} at ${hex(start)}-${hex(end)} ${why}`);
    if (start % PAGE !== 0 || end % PAGE !== 0) throw bad('is not made of whole pages');
    if (segment.bytes.length > segment.memsz)
      throw bad(`has ${segment.bytes.length} bytes for ${segment.memsz} of memory`);
    if (totalLength(subtract([{ start, end }], allowed)) > 0)
      throw bad('is not within memory that may be used');
    const other = segments.slice(i + 1).find((next) => next.mem < end && start < next.mem + next.memsz);
    if (other !== undefined) throw bad(`overlaps the one for ${other.name}`);
  }
  const total = segments.reduce((sum, { memsz }) => sum + memsz, 0);
  const most = totalLength(ram) / 2;
  if (total > most)
    throw refuse(
      'image-too-large',
      `the load takes ${total} bytes of memory; the kernel allows half of this machine's RAM, ${most}`,
      'Make the initrd smaller, or give the machine more memory.',
    );
}

/** The kernel takes an entry point of a crash kernel only within the reserved memory. @throws KdumpError `bad-entry` */
export function checkCrashEntry(entry: number, allowed: readonly Range[]): void {
  if (allowed.some(({ start, end }) => start <= entry && entry < end)) return;
  throw refuse('bad-entry', `--entry ${hex(entry)} is not within the memory that is reserved`);
}

function refuse(code: string, message: string, fix?: string): KdumpError {
  return new KdumpError(code, message, {
    ...(fix === undefined ? {} : { fix }),
    exitCode: exitCodes.failed,
  });
}
