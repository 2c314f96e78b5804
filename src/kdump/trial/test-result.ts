import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { testDirectoryName } from '../capture/test-handshake.ts';
import { type SavedDump, whereOf } from '../dumps/saved-dump.ts';
import { recordTest, type TestRecord } from '../service/state.ts';
import type { Answer } from './ask-elsewhere.ts';
import { parseStatus, readStatus, statusName, writeStatus } from './test-status.ts';

/**
 * Finds what came of a test that is pending, and records it.
 * @param directory where the service keeps what it remembers
 * @param dumps all that can be seen
 * @param ask what the places say that cannot be looked into
 * @returns null when no test is pending, or when it cannot be known yet
 */
export function settleTest(
  directory: string,
  dumps: readonly SavedDump[],
  ask: (name: string) => Answer | null | undefined,
  now: Date,
): TestRecord | null {
  const pending = readStatus(directory);
  if (pending?.word !== 'pending') return null;
  const outcome = outcomeOf(pending.id, dumps, ask);
  if (outcome === undefined) return null;
  const record: TestRecord = { at: now.toISOString(), setup: pending.setup ?? '', ...outcome };
  recordTest(directory, record);
  // Last: a result that was not recorded is looked for again.
  writeStatus(directory, { ...pending, word: outcome.passed ? 'success' : 'fail' });
  return record;
}

type Outcome = Pick<TestRecord, 'passed' | 'detail'>;

function outcomeOf(
  id: string,
  dumps: readonly SavedDump[],
  ask: (name: string) => Answer | null | undefined,
): Outcome | undefined {
  const name = testDirectoryName(id);
  const dump = dumps.find((one) => one.name === name);
  if (dump !== undefined) {
    const passed = saysSuccess(dump, id);
    return { passed, detail: passed ? whereOf(dump) : `the dump in ${whereOf(dump)} is ${dump.state}` };
  }
  const answer = ask(name);
  if (answer === undefined) return undefined;
  if (answer === null) return { passed: false, detail: 'no dump of the test was found' };
  const passed = isSuccess(answer.line, id);
  return { passed, detail: passed ? answer.where : `the capture did not succeed: ${answer.where}` };
}

/** By the file of the handshake; where it is missing, by the dump itself. */
function saysSuccess(dump: SavedDump, id: string): boolean {
  if (!(statusName in dump.files)) return dump.state === 'complete';
  return isSuccess(readFileSync(join(dump.directory, statusName), 'utf8'), id);
}

function isSuccess(text: string, id: string): boolean {
  const status = parseStatus(text);
  if (status !== null && status.id !== id) return false;
  return (status?.word ?? text.trim()) === 'success';
}
