import { printable } from '../../lib/printable.ts';
import { whyNotWhole } from '../dumps/describe.ts';
import { allDumpPlaces, type DumpPlace } from '../dumps/places.ts';
import { whereOf } from '../dumps/saved-dump.ts';
import { forgetBoots, unendedBoots } from './boots.ts';
import type { FoundDump, ServiceDoors } from './doors.ts';
import { type CrashRecord, readState, type Saves, type ServiceState, updateState } from './state.ts';

/** What a boot sees when it looks for dumps for the first time. */
export type FirstLook = {
  /** Oldest first. */
  readonly dumps: readonly FoundDump[];
  /** Those that were not there when dumps were looked for last. */
  readonly fresh: readonly FoundDump[];
  /** Nobody has looked before, so that what is there may be of any age. */
  readonly firstEver: boolean;
};

/**
 * Looks for dumps, once in each boot.
 * @param saves where there may be dumps: as the settings are, and as the machine was armed
 * @returns null when this boot has looked already, and findLastCrash() has remembered what there was
 */
export function lookForDumps(saves: readonly Saves[], doors: ServiceDoors): FirstLook | null {
  const { looked } = readState(doors.directory);
  if (looked?.bootId === doors.kexec.readMachine().bootId) return null;
  const dumps = doors.findDumps(saves);
  const fresh = dumps.filter(({ directory }) => !looked?.dumps.includes(directory));
  return { dumps, fresh, firstEver: looked === null };
}

/**
 * How the last boot ended: in a crash when there is a dump that was not there when dumps were looked for last. Without
 * one it may still not have ended with a shutdown.
 * @returns what is known of that end, for as long as this boot lasts; null when it was in order
 */
export function findLastCrash(
  look: FirstLook | null,
  saves: readonly Saves[],
  doors: ServiceDoors,
): CrashRecord | null {
  const { bootId } = doors.kexec.readMachine();
  if (look === null) {
    const { lastCrash } = readState(doors.directory);
    return lastCrash?.bootId === bootId ? lastCrash : null;
  }
  const newest = look.firstEver ? undefined : look.fresh.at(-1);
  const unended = unendedBoots(doors.directory, bootId);
  const found = newest
    ? crashOf(newest, bootId)
    : unended.length > 0
      ? unexplainedEnd(saves, doors.root, bootId)
      : null;
  try {
    updateState(doors.directory, {
      looked: { bootId, dumps: look.dumps.map(({ directory }) => directory) },
      ...(found === null ? {} : { lastCrash: found }),
      ...(newest === undefined ? {} : provenBy(newest, readState(doors.directory))),
    });
    forgetBoots(doors.directory, unended);
  } catch (error) {
    // When even the record has no room, it is told now, and found again by the next start.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return found;
}

/** A crash that was saved is as good as a test of what was armed then, if that still is what is armed. */
function provenBy(dump: FoundDump, { armed }: ServiceState): Pick<ServiceState, 'test'> | undefined {
  if (dump.state !== 'complete' || armed === null || Date.parse(armed.since) > Date.parse(dump.time))
    return undefined;
  const detail = `${whereOf(dump)}, of a crash`;
  return { test: { at: dump.time, setup: armed.setup, passed: true, detail } };
}

const crashOf = (dump: FoundDump, bootId: string | null): CrashRecord => ({
  bootId,
  directory: whereOf(dump),
  state: dump.state,
  time: dump.time,
  panic: dump.panic,
  summary: dump.summary,
  why: whyNotWhole(dump),
});

function unexplainedEnd(saves: readonly Saves[], root: string, bootId: string | null): CrashRecord {
  const unseen = allDumpPlaces(saves, root).filter(({ directory }) => directory === null);
  const reasons = [...new Set(unseen.map(({ target, why }: DumpPlace) => `${target} (${why})`))];
  return {
    bootId,
    directory: null,
    state: 'failed',
    time: null,
    panic: null,
    summary: null,
    why: reasons.length === 0 ? null : `it could not be looked for in ${reasons.join(', ')}`,
  };
}

/**
 * Gives the dumps of the last crash their labels: the capture kernel has no policy, and what it writes has none, which
 * keeps everybody from it whom the policy binds.
 */
export function labelDumps(look: FirstLook | null, doors: ServiceDoors): void {
  if (look !== null) doors.relabel(look.fresh.map(({ directory }) => directory));
}

/** In one sentence: how it went and why, and what happened in the words of the report. */
export function describeCrash({ directory, state, panic, summary, why }: CrashRecord): string {
  const reason = why === null ? '' : `: ${why}`;
  if (directory === null)
    return `the last boot ended without a shutdown, in a crash, a reset or a loss of power, and no dump of it was found${reason}`;
  const outcome = state === 'failed' ? 'without a vmcore' : state;
  const lastWords = panic === null || summary ? '' : ` (${printable(panic)})`;
  const story = summary ? `. ${printable(summary)}` : '';
  return `the last boot ended in a crash: ${directory}, ${outcome}${lastWords}${reason}${story}`;
}

/**
 * Saves as files what raw partitions among the targets hold, and adds the report that has no place there.
 * @returns the files; partitions without a dump have none
 */
export function saveRaw(saves: readonly Saves[], doors: ServiceDoors): string[] {
  return saves.flatMap(({ targets, path, report }) =>
    targets.flatMap((target) => {
      if (target.kind !== 'raw') return [];
      const saved = doors.recoverRaw(target.device, path);
      if (saved === null) return [];
      if (report) doors.addReport(saved);
      return [saved];
    }),
  );
}
