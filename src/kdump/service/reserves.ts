import { dumpPlaces } from '../dumps/places.ts';
import { giveUpReserve, keepReserve } from '../dumps/reserve.ts';
import type { Saves } from './state.ts';

/**
 * Keeps room for the account of a crash where this machine has dumps on disks of its own, and gives up what was kept
 * where they went before.
 * @param root directory that stands in for /
 * @returns why there is none, for each directory without
 */
export function keepReserves(saves: Saves, before: readonly Saves[], root: string): string[] {
  const directories = placesOf(saves, root);
  for (const old of before.flatMap((each) => placesOf(each, root)))
    if (!directories.includes(old)) giveUpReserve(old);
  return directories.flatMap((directory) => {
    try {
      return keepReserve(directory) ? [] : [`${directory}: no room`];
    } catch (error) {
      return [`${directory}: ${(error as Error).message}`];
    }
  });
}

/** When the machine is no more armed. */
export function giveUpReserves(saves: readonly Saves[], root: string): void {
  for (const directory of saves.flatMap((each) => placesOf(each, root))) giveUpReserve(directory);
}

function placesOf({ targets, path }: Saves, root: string): string[] {
  const own = targets.filter(({ kind }) => kind === 'directory' || kind === 'filesystem');
  const directories = dumpPlaces({ targets: own, path }, root).map(({ directory }) => directory);
  return [...new Set(directories.filter((directory) => directory !== null))];
}
