import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildReport } from '../crash/report/build.ts';
import { renderReport } from '../crash/report/render.ts';
import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';
import { openDump } from '../library/open-dump.ts';

/**
 * The report of a dump, for the capture and for whoever brings a dump home: `crash-report DUMP DIRECTORY` writes
 * report.json and report.html there, for their owner alone. A program of its own, so that what it takes is bounded and
 * goes away with it.
 */
function main([path, directory, ...more]: readonly string[]): void {
  if (path === undefined || directory === undefined || more.length > 0)
    throw new KdumpError('usage', 'crash-report takes a dump and a directory');
  const dump = openDump(path);
  const report = buildReport(dump.kernel, dump);
  for (const format of ['json', 'html'] as const)
    writeFileSync(join(directory, `report.${format}`), renderReport(report, format), { mode: 0o600 });
  dump.close();
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`crash-report: ${describeError(error)}\n`);
  process.exitCode = exitCodeOf(error);
}
