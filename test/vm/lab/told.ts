import { afterAll } from 'vitest';
import { buildReport, hasFailed, type Part, type Report } from '../../../src/crash/report/build.ts';
import type { Triage } from '../../../src/crash/triage/triage.ts';
import type { Kernel } from '../../../src/kernel/kernel.ts';
import { type Dump, openDump } from '../../../src/library/open-dump.ts';

/** Opens dumps and tells what happened; they are closed when all tests of the file are over. */
export function storyTeller(): (path: string) => { kernel: Kernel; report: Report; triage: Triage } {
  const opened: Dump[] = [];
  afterAll(() => {
    for (const dump of opened) dump.close();
  });
  return (path) => {
    const dump = openDump(path);
    opened.push(dump);
    const report = buildReport(dump.kernel, dump);
    return { kernel: dump.kernel, report, triage: made(report.crash) };
  };
}

/** A part of a report that has to be there. */
export function made<T extends object>(part: Part<T>): T {
  if (hasFailed(part)) throw new Error(part.failed);
  return part;
}
