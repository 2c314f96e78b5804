import { lstatSync, mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { writeFileDurably } from '../../system/durable.ts';
import { postText } from '../../system/http-post.ts';
import { runOrThrow } from '../../system/processes.ts';
import type { Notification } from '../config/types.ts';
import type { SavedDump } from './saved-dump.ts';

/** Who has been told of what, in /var/lib/kdump. */
const recordName = 'notified.json';
/** Without a record, what is older is no news. */
const newsSeconds = 24 * 3600;
const programBound = 60;
const postBound = 10;
/** A record never grows beyond what anybody has dumps for. */
const mostKept = 1000;

export type Telling = { readonly dump: SavedDump; readonly notification: Notification };

const keyOf = ({ dump, notification: { how, to } }: Telling): string => `${dump.name} ${how} ${to}`;

/**
 * What is to be told now: of every dump, to everybody who is to be told at boot and was not.
 * @param told keys of what was told; null when there is no record yet
 * @param now milliseconds since 1970
 */
export function planNotifications(
  dumps: readonly SavedDump[],
  notifications: readonly Notification[],
  told: readonly string[] | null,
  now: number,
): Telling[] {
  const known = new Set(told);
  return dumps
    .filter(({ time }) => told !== null || now - Date.parse(time) <= newsSeconds * 1000)
    .flatMap((dump) =>
      notifications.filter(({ when }) => when === 'boot').map((notification) => ({ dump, notification })),
    )
    .filter((telling) => !known.has(keyOf(telling)));
}

/** What is sent: the dump, and what dump.json says about it. */
export const messageOf = (dump: SavedDump): string => `${JSON.stringify({ event: 'dump', ...dump })}\n`;

/**
 * Tells it.
 * @throws KdumpError `post-failed`, `unsafe-program`, `program-failed` and what run() throws
 */
export async function tell({ dump, notification: { how, to } }: Telling): Promise<void> {
  if (how === 'post') return postText(to, 'application/json', messageOf(dump), postBound);
  checkSafeProgram(to);
  runOrThrow(to, [], { input: Buffer.from(messageOf(dump)), timeout: programBound });
}

/**
 * What root runs, only root may have written: the file, and every directory above it.
 * @throws KdumpError `unsafe-program`
 */
export function checkSafeProgram(path: string): void {
  const refusal = (why: string): KdumpError =>
    new KdumpError('unsafe-program', `${path} is not run: ${why}`, {
      fix: 'Have it owned by root, and writable by nobody else.',
    });
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    throw refusal('it does not exist');
  }
  if (!statSync(real).isFile()) throw refusal('it is not a file');
  for (let at = real; ; at = dirname(at)) {
    const { uid, mode } = lstatSync(at);
    // A directory like /tmp, where only the owner of a file replaces it, is as good as one nobody else writes to.
    const sticky = at !== real && (mode & 0o1000) !== 0;
    if (uid !== 0 && uid !== process.geteuid?.()) throw refusal(`${at} is not owned by root`);
    if ((mode & 0o022) !== 0 && !sticky) throw refusal(`others can write to ${at}`);
    if (at === dirname(at)) return;
  }
}

/** Keys of what was told; null when nothing is recorded. */
export function readTold(directory: string): string[] | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, recordName), 'utf8'));
    return Array.isArray(value) ? value.filter((key) => typeof key === 'string') : null;
  } catch {
    return null;
  }
}

/** Records what was told, so that it is told once. */
export function recordTold(directory: string, told: readonly string[], more: readonly Telling[]): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const all = [...new Set([...told, ...more.map(keyOf)])].slice(-mostKept);
  writeFileDurably(join(directory, recordName), `${JSON.stringify(all, undefined, 2)}\n`);
}
