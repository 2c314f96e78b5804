import { closeSync, constants, fstatSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { preallocate } from '../../system/preallocate.ts';

/**
 * Space that is kept among the dumps of this machine while it is armed: a disk that is full to the brim when the machine
 * crashes still takes the account, the log and the report. The capture gives it up, the next arming keeps it again.
 */
const reserveName = '.kdump-reserve';
const reserveBytes = 4 << 20;

/** @returns false when the file system has no room for it, or cannot keep room */
export function keepReserve(directory: string): boolean {
  const path = join(directory, reserveName);
  // A link that somebody planted is not followed.
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  let kept = false;
  try {
    kept = fstatSync(fd).size === reserveBytes || preallocate(fd, 0, reserveBytes);
  } finally {
    closeSync(fd);
    if (!kept) rmSync(path, { force: true });
  }
  return kept;
}

/** @returns whether there was one */
export function giveUpReserve(directory: string): boolean {
  try {
    rmSync(join(directory, reserveName));
    return true;
  } catch {
    return false;
  }
}
