import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { runBounded } from './run-bounded.ts';

/** The report of a crash, made by a program of its own (src/cli/crash-report.ts): what it takes goes away with it. */

export const reportNames = ['report.json', 'report.html'] as const;

/** node with what comes before the script, and the bundle that it runs. */
export type ReportProgram = { readonly node: readonly [string, ...string[]]; readonly bundle: string };

export type ReportBounds = {
  readonly seconds: number;
  /** Most that V8's heap may grow to, MiB. It takes 10, and 400 bytes for each task. */
  readonly heap: number;
};

/**
 * Makes the report of a dump.
 * @param directory in which the report comes to lie; it holds no other
 * @param meanwhile called several times a second
 * @throws KdumpError `no-report`, `timed-out`, `no-program`; nothing is left in the directory then
 */
export function makeReport(
  { node: [program, ...before], bundle }: ReportProgram,
  dump: string,
  directory: string,
  { seconds, heap }: ReportBounds,
  meanwhile?: () => void,
): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    const heapBounds = [`--max-old-space-size=${heap}`, '--max-semi-space-size=1'];
    const args = [...before, ...heapBounds, bundle, dump, directory];
    const { status, said } = runBounded(program, args, seconds, {
      expendable: true,
      ...(meanwhile === undefined ? {} : { meanwhile }),
    });
    if (status !== 0) throw new KdumpError('no-report', whyNot(status, said), { facts: { status } });
  } catch (error) {
    for (const name of reportNames) rmSync(join(directory, name), { force: true });
    throw error;
  }
}

const killed = 128 + 9;
const aborted = 128 + 6;

function whyNot(status: number, said: string): string {
  if (status === killed) return 'no report: the kernel ended its program, for which there was no memory';
  if (status === aborted) return 'no report: it would have taken more memory than it may have';
  const words = said.trim().split('\n')[0];
  return words ? `no report: ${words}` : `no report: its program ended with status ${status}`;
}

/** The paragraph of a report that says what happened; null when there is none. */
export function summaryIn(directory: string): string | null {
  try {
    const { summary } = JSON.parse(readFileSync(join(directory, reportNames[0]), 'utf8')) as {
      summary?: unknown;
    };
    return typeof summary === 'string' ? summary : null;
  } catch {
    return null;
  }
}
