import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, runOrThrow } from './processes.ts';

/** Seconds, for directories with a few large files each. */
const relabelBound = 120;

/** Whether SELinux has a policy: it shows its file system only then. */
export const hasSelinux = (root = '/'): boolean => existsSync(join(root, 'sys/fs/selinux/enforce'));

/**
 * Gives directories, with all that is in them, the labels that the policy has for them. File systems without labels are
 * passed over by the program itself.
 * @throws KdumpError `program-failed`
 */
export function relabel(directories: readonly string[]): void {
  const program = findProgram('restorecon');
  if (program !== undefined && directories.length > 0)
    runOrThrow(program, ['-R', ...directories], { timeout: relabelBound });
}
