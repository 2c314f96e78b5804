import { KdumpError } from '../../lib/errors.ts';
import type { Sink } from './sink.ts';

/** The error of a dump that is there in part: readable, and marked incomplete. */
export function noSpace({ path, written }: Sink): KdumpError {
  return new KdumpError(
    'no-space',
    `${path}: no space left after ${written} bytes; the dump is readable as far as it goes and marked incomplete`,
    { fix: 'Free some space or use a higher dump level.', facts: { written } },
  );
}

/** A full disk or device, a spent quota, or a file as large as the file system or a limit lets it be. */
export function isNoSpace(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
}
