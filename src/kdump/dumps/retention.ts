import type { EffectiveSettings } from '../config/effective.ts';
import { byTime, type SavedDump } from './saved-dump.ts';
import { crashSeries } from './series.ts';

export type RetentionPolicy = EffectiveSettings['retention'];

/** Space of the file system on which the dumps lie, in bytes. */
export type FileSystemSpace = { readonly free: number; readonly total: number };

/**
 * Which dumps to remove so that the policy holds, in the order in which to do it. Pure.
 *
 * Only when the newest dump is complete: room is never made at the cost of a dump that is there for one that is not. Only
 * dumps of the machine that the newest is of, since several machines may save to one directory. The newest stays, and so
 * does the first dump of the series of crashes that it belongs to; both for whatever bound. What is too old goes; then,
 * while there is too much, the dumps between the first and the last of a series, then the others, each oldest first.
 * @param now milliseconds since 1970
 */
export function planRetention(
  dumps: readonly SavedDump[],
  policy: RetentionPolicy,
  space: FileSystemSpace,
  now: number,
): SavedDump[] {
  const sorted = [...dumps].sort(byTime);
  const newest = sorted.at(-1);
  if (newest === undefined || newest.state !== 'complete') return [];
  const ours = sorted.filter(({ host }) => host === newest.host);
  const series = crashSeries(ours);
  const first = series.find((one) => one.includes(newest))![0]!;
  const between = new Set(series.flatMap((one) => one.slice(1, -1)));
  const removable = ours.filter((dump) => dump !== newest && dump !== first);

  const remove = removable.filter(({ time }) => isTooOld(time, policy, now));
  let kept = ours.length - remove.length;
  let bytes = sum(ours) - sum(remove);
  let free = space.free + sum(remove);
  const isTooMuch = (): boolean =>
    (policy.count !== null && kept > policy.count) ||
    (policy.bytes !== null && bytes > policy.bytes) ||
    (policy.freePercent !== null && free < (space.total * policy.freePercent) / 100);

  const rest = removable.filter((dump) => !remove.includes(dump));
  for (const dump of [
    ...rest.filter((one) => between.has(one)),
    ...rest.filter((one) => !between.has(one)),
  ]) {
    if (!isTooMuch()) break;
    remove.push(dump);
    kept--;
    bytes -= dump.bytes;
    free += dump.bytes;
  }
  return remove;
}

const isTooOld = (time: string, { ageSeconds }: RetentionPolicy, now: number): boolean =>
  ageSeconds !== null && now - Date.parse(time) > ageSeconds * 1000;

const sum = (dumps: readonly SavedDump[]): number => dumps.reduce((total, { bytes }) => total + bytes, 0);
