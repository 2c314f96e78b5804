import { readdirSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../system/durable.ts';
import { listDumps } from './list.ts';
import type { FileSystemSpace } from './retention.ts';
import type { SavedDump } from './saved-dump.ts';

/** What is being removed lies under such a name, so that half of a dump never looks like a dump. */
const removedPrefix = '.removed-';

/**
 * Removes dumps, and what a removal that was cut short has left beside them.
 * @throws system errors of removing; the dumps before are gone then
 */
export function removeDumps(dumps: readonly SavedDump[]): void {
  for (const parent of new Set(dumps.map(({ directory }) => dirname(directory)))) {
    sweep(parent);
    for (const dump of dumps.filter(({ directory }) => dirname(directory) === parent))
      renameSync(dump.directory, join(parent, `${removedPrefix}${dump.name}`));
    syncDirectory(parent);
    sweep(parent);
  }
}

/** Accounts take little, and who has not looked at so many does not miss the older ones. */
const mostAccounts = 20;

/** Removes all but the newest accounts of crashes. @throws as removeDumps */
export function pruneAccounts(directory: string): void {
  removeDumps(listDumps(directory).slice(0, -mostAccounts));
}

function sweep(parent: string): void {
  for (const name of readdirSync(parent).filter((entry) => entry.startsWith(removedPrefix)))
    rmSync(join(parent, name), { recursive: true, force: true });
}

/** Space of the file system that a directory is on. @throws system errors of statfs(2) */
export function spaceOf(directory: string): FileSystemSpace {
  const { bavail, blocks, bsize } = statfsSync(directory);
  return { free: bavail * bsize, total: blocks * bsize };
}
