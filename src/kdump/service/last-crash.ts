import type { EffectiveSettings } from '../config/effective.ts';
import { printable } from '../dumps/describe.ts';
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
        directory: newest.directory,
        state: newest.state,
        time: newest.time,
        panic: newest.panic,
        summary: newest.summary,
      }
    : null;
  updateState(doors.directory, {
    looked: { bootId, dumps: dumps.map(({ directory }) => directory) },
    ...(found === null ? {} : { lastCrash: found }),
  });
  return found;
}

/**
 * Gives the dumps of the last crash their labels, once in each boot: the capture kernel has no policy, and what it writes
 * has none, which keeps everybody from it whom the policy binds.
 */
export function labelDumps(settings: EffectiveSettings, doors: ServiceDoors): void {
  const { bootId } = doors.kexec.readMachine();
  const { looked } = readState(doors.directory);
  if (looked?.bootId === bootId) return;
  const directories = doors.findDumps(settings).map(({ directory }) => directory);
  doors.relabel(directories.filter((directory) => !looked?.dumps.includes(directory)));
}

/** In one sentence, and what happened in the words of the report. */
export function describeCrash({ directory, state, panic, summary }: CrashRecord): string {
  const outcome = state === 'failed' ? 'without a vmcore' : state;
  const why = summary ? `. ${printable(summary)}` : panic === null ? '' : ` (${printable(panic)})`;
  return `the last boot ended in a crash: ${directory}, ${outcome}${why}`;
}

/**
 * Saves as files what raw partitions among the targets hold, and adds the report that has no place there.
 * @returns the files; partitions without a dump have none
 */
export function saveRaw(settings: EffectiveSettings, doors: ServiceDoors): string[] {
  return settings.targets.flatMap((target) => {
    if (target.kind !== 'raw') return [];
    const saved = doors.recoverRaw(target.device, settings.path);
    if (saved === null) return [];
    if (settings.report) doors.addReport(saved);
    return [saved];
  });
}
