import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../../lib/errors.ts';
import { printable } from '../../../lib/printable.ts';
import { type Capture, sampleMemory } from '../context.ts';
import { reportNames, summaryIn } from '../crash-report.ts';
import { reportSeconds } from './bounds.ts';

/** What happened, told before the dump is written: the dump may fail, and the report is small. */

/**
 * Memory that has to be available for it, KiB. It takes some 30 MiB on kernels from 5.10 to 7.3, beside what of node and
 * its libraries is there already.
 */
const leastAvailable = 48 << 10;
/** MiB of heap that it gets at least; half of what is available where that is more. */
const leastHeap = 48;

/** What has failed on one target is not tried again on the next; what was made goes to every target. */
export const wantsReport = ({ config, report, machine }: Capture): boolean =>
  config.report && (isMade(machine.reportDirectory) || !report.steps.some(({ name }) => name === 'report'));

const isMade = (directory: string): boolean => reportNames.every((name) => existsSync(join(directory, name)));

/** @throws KdumpError `memory-short`, and those of makeReport; none of them is worth more than a line in the account */
export function saveReport(capture: Capture): void {
  const { machine, tools, report, log, target, deadline } = capture;
  const directory = machine.reportDirectory;
  if (!isMade(directory)) {
    const { available } = machine.memory();
    if (available < leastAvailable)
      throw new KdumpError(
        'memory-short',
        `no report: ${Math.floor(available / 1024)} MiB of memory are available, and it may take ${leastAvailable / 1024}`,
        { fix: 'Reserve more memory with crashkernel=; the report can be made of the dump, too.' },
      );
    const left = deadline === null ? reportSeconds : deadline - machine.uptime();
    const bounds = {
      seconds: Math.min(reportSeconds, left),
      heap: Math.max(leastHeap, Math.floor(available / 1024 / 2)),
    };
    tools.makeReport(machine.boot.vmcore, directory, bounds, () => sampleMemory(capture));
    report.summary = summaryIn(directory);
    // Names of tasks and files are in it, and this goes to a terminal.
    log.say(printable(report.summary ?? 'the report does not say what happened'));
  }
  for (const name of reportNames) target!.writeFile(name, readFileSync(join(directory, name)));
  log.say(`saved ${reportNames.join(' and ')}`);
}
