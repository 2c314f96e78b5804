import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../../lib/errors.ts';
import { syncDirectory, writeFileDurably } from '../../../system/durable.ts';
import type { Space } from '../../config/types.ts';
import { formatBytes } from '../../dumps/describe.ts';
import { spaceOf } from '../../dumps/remove.ts';
import type { Trial } from './outcome.ts';

/** Larger than what a file system keeps in an inode, so that blocks are written. */
const probeBytes = 1 << 20;

/**
 * Does in a directory what a capture does, with a megabyte: write, sync, rename, read back, delete. Nothing is left.
 * @param path directory of dumps; made for the time of the trial when it is missing, as the capture makes it
 */
export function tryDirectory(trial: Trial, path: string, minFree: Space | null): void {
  let made: string | undefined;
  let probe: string | undefined;
  trial.try('directory', () => {
    made = mkdirSync(path, { recursive: true, mode: 0o700 });
    return made === undefined ? path : `${path} will be made by the capture`;
  });
  trial.try('space', () => enoughSpace(path, minFree));
  try {
    trial.try('create', () => {
      probe = mkdtempSync(join(path, 'kdump-target-test-'));
      return '';
    });
    const content = Buffer.alloc(probeBytes, 'kdump target test\n');
    trial.try('write and sync', () => {
      writeFileDurably(join(probe!, 'vmcore-incomplete'), content);
      return formatBytes(content.length);
    });
    trial.try('rename', () => {
      renameSync(join(probe!, 'vmcore-incomplete'), join(probe!, 'vmcore'));
      syncDirectory(probe!);
      return '';
    });
    trial.try('read back', () => {
      const { size, mode } = statSync(join(probe!, 'vmcore'));
      if (size !== content.length || !readFileSync(join(probe!, 'vmcore')).equals(content))
        throw new KdumpError('target-test', 'what was written is not what is read');
      return (mode & 0o077) === 0
        ? ''
        : 'others can read what is written there: the file system keeps no permissions';
    });
  } finally {
    trial.always('delete', () => {
      if (probe !== undefined) rmSync(probe, { recursive: true, force: true });
      if (made !== undefined) removeUpTo(path, made);
      return '';
    });
  }
}

/** Removes the empty directories from `path` up to and with `top`. */
function removeUpTo(path: string, top: string): void {
  for (let at = path; ; at = dirname(at)) {
    rmdirSync(at);
    if (at === top || at === dirname(at)) return;
  }
}

function enoughSpace(path: string, minFree: Space | null): string {
  const { free, total } = spaceOf(path);
  const needed = minFree === null ? 0 : 'bytes' in minFree ? minFree.bytes : (total * minFree.percent) / 100;
  if (free < needed)
    throw new KdumpError(
      'target-test',
      `${formatBytes(free)} are free, min_free asks for ${formatBytes(needed)}`,
      {
        fix: 'Make room on the target, or lower min_free.',
      },
    );
  return `${formatBytes(free)} of ${formatBytes(total)} are free`;
}
