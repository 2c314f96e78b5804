import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileDurably } from '../../system/durable.ts';
import { makeReport, type ReportProgram, summaryIn } from '../capture/crash-report.ts';
import { toCaptureError } from '../capture/failures.ts';
import { type DumpReport, toJson } from '../capture/report.ts';
import { reportSeconds } from '../capture/steps/bounds.ts';

/** The bundle beside the one that this is part of. */
const ourProgram = (): ReportProgram => ({
  node: [process.execPath],
  bundle: fileURLToPath(new URL('./crash-report.mjs', import.meta.url)),
});

/** The machine is up again, and has its memory back. */
const heapMiB = 512;

/**
 * Adds to a dump what could not be saved along with it: the report, and its paragraph in dump.json; or the reason why
 * there is none.
 * @throws system errors of reading and writing
 */
export function addReport(directory: string, program = ourProgram()): void {
  const vmcore = ['vmcore', 'vmcore-incomplete'].map((name) => join(directory, name)).find(existsSync);
  if (vmcore === undefined) return;
  const path = join(directory, 'dump.json');
  const account = JSON.parse(readFileSync(path, 'utf8')) as DumpReport;
  try {
    makeReport(program, vmcore, directory, { seconds: reportSeconds, heap: heapMiB });
    account.summary = summaryIn(directory);
  } catch (error) {
    account.errors.push(toCaptureError('report', error));
  }
  writeFileDurably(path, toJson(account));
}
