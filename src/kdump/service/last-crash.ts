import type { EffectiveSettings } from '../config/effective.ts';
import { whereOf } from '../dumps/saved-dump.ts';
import type { ServiceDoors } from './doors.ts';
import { type CrashRecord, readState, updateState } from './state.ts';

/**
 * Looks, once in each boot, for a dump that was not there when dumps were looked for last: then the boot before ended
 * in a crash.
 * @returns what that crash left, for as long as this boot lasts; null when there was none
 */
export function findLastCrash(settings: EffectiveSettings, doors: ServiceDoors): CrashRecord | null {
  const { bootId } = doors.kexec.readMachine();
  const { looked, lastCrash } = readState(doors.directory);
  if (looked?.bootId === bootId) return lastCrash?.bootId === bootId ? lastCrash : null;
  const dumps = doors.findDumps(settings);
  const known = looked?.dumps;
  const newest = known && dumps.findLast(({ directory }) => !known.includes(directory));
  const found: CrashRecord | null = newest
    ? {
        bootId,
        directory: whereOf(newest),
        state: newest.state,
        time: newest.time,
        panic: newest.panic,
      }
    : null;
  updateState(doors.directory, {
    looked: { bootId, dumps: dumps.map(({ directory }) => directory) },
    ...(found === null ? {} : { lastCrash: found }),
  });
  return found;
}

/** In one sentence. */
export function describeCrash({ directory, state, panic }: CrashRecord): string {
  const outcome = state === 'failed' ? 'without a vmcore' : state;
  return `the last boot ended in a crash: ${directory}, ${outcome}${panic === null ? '' : ` (${panic})`}`;
}

/**
 * Saves as files what raw partitions among the targets hold.
 * @returns the files; partitions without a dump have none
 */
export function saveRaw(settings: EffectiveSettings, doors: ServiceDoors): string[] {
  return settings.targets.flatMap((target) => {
    if (target.kind !== 'raw') return [];
    const saved = doors.recoverRaw(target.device, settings.path);
    return saved === null ? [] : [saved];
  });
}
