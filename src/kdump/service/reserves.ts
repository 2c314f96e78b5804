import { allDumpPlaces } from '../dumps/places.ts';
import { giveUpReserve, keepReserve } from '../dumps/reserve.ts';
import type { Saves } from './state.ts';

/**
 * Keeps room for the account of a crash where this machine has dumps on disks of its own, and gives up what was kept
 * where they went before.
 * @param root directory that stands in for /
 * @returns why there is none, for each directory without
 */
export function keepReserves(saves: readonly Saves[], before: readonly Saves[], root: string): string[] {
  const directories = placesOf(saves, root);
  for (const old of placesOf(before, root)) if (!directories.includes(old)) giveUpReserve(old);
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
  for (const directory of placesOf(saves, root)) giveUpReserve(directory);
}

function placesOf(saves: readonly Saves[], root: string): string[] {
  const own = saves.map(({ targets, path }) => ({
    targets: targets.filter(({ kind }) => kind === 'directory' || kind === 'filesystem'),
    path,
  }));
  const directories = allDumpPlaces(own, root).map(({ directory }) => directory);
  return [...new Set(directories.filter((directory) => directory !== null))];
}
