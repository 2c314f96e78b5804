import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildReport } from '../crash/report/build.ts';
import { renderReport } from '../crash/report/render.ts';
import { openSource } from '../dump/input/open.ts';
import { statusIncomplete } from '../formats/diskdump.ts';
import { openKernel } from '../kernel/kernel.ts';
import { openKernelMemory } from '../kernel/open.ts';
import { describeError, exitCodeOf, KdumpError } from '../lib/errors.ts';

/**
 * The report of a dump, for the capture and for whoever brings a dump home: `crash-report DUMP DIRECTORY` writes
 * report.json and report.html there, for their owner alone. A program of its own, so that what it takes is bounded and
 * goes away with it.
 */
function main([path, directory, ...more]: readonly string[]): void {
  if (path === undefined || directory === undefined || more.length > 0)
    throw new KdumpError('usage', 'crash-report takes a dump and a directory');
  const source = openSource([path]);
  const { arch, vmcoreinfo, made } = source;
  if (arch === undefined || vmcoreinfo === undefined)
    throw new KdumpError('no-vmcoreinfo', `${path}: no VMCOREINFO note, so nothing in it can be found`);
  const memory = openKernelMemory(arch, vmcoreinfo, source, source.segments, made?.physBase);
  const report = buildReport(openKernel(memory, { notes: source.notes }), {
    paths: [path],
    format: made === undefined ? 'ELF' : 'kdump-compressed',
    dumpLevel: made?.dumpLevel,
    incomplete: ((made?.status ?? 0) & statusIncomplete) !== 0,
    vmcoreinfo,
  });
  for (const format of ['json', 'html'] as const)
    writeFileSync(join(directory, `report.${format}`), renderReport(report, format), { mode: 0o600 });
  source.close();
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`crash-report: ${describeError(error)}\n`);
  process.exitCode = exitCodeOf(error);
}
