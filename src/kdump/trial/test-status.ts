import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '../../system/durable.ts';
import { isTestId, testParameter, testStatusName } from '../capture/test-handshake.ts';

/** What became of the last crash on purpose, in /var/lib/kdump and in the dump directory of the test. */
export const statusName = testStatusName;

/** `pending kdump_test_id=ID setup=DIGEST`, and later `success …` or `fail …`. */
export type TestStatus = {
  readonly word: 'pending' | 'success' | 'fail';
  readonly id: string;
  /** Names what was armed; null where kdump-utils has written the line. */
  readonly setup: string | null;
};

/** Reads the line; null for what is none. */
export function parseStatus(text: string): TestStatus | null {
  const [word, ...rest] = text.trim().split(/\s+/);
  const partNamed = (name: string): string | null =>
    rest.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
  const id = partNamed(testParameter);
  if ((word !== 'pending' && word !== 'success' && word !== 'fail') || !isTestId(id)) return null;
  return { word, id, setup: partNamed('setup') };
}

/** The line for a status. */
export const formatStatus = ({ word, id, setup }: TestStatus): string =>
  `${word} ${testParameter}=${id}${setup === null ? '' : ` setup=${setup}`}\n`;

/** What is known about the last test; null when there was none. */
export function readStatus(directory: string): TestStatus | null {
  try {
    return parseStatus(readFileSync(join(directory, statusName), 'utf8'));
  } catch {
    return null;
  }
}

/** Keeps it, on the disk before this returns. */
export function writeStatus(directory: string, status: TestStatus): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileDurably(join(directory, statusName), formatStatus(status));
}
