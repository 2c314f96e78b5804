import type { Argv } from 'yargs';
import { effectiveSettings } from '../../kdump/config/settings.ts';
import { type Estimate, estimate } from '../../kdump/service/estimate.ts';
import { readEstimateFacts } from '../../kdump/service/estimate-facts.ts';
import {
  type ExpectedDump,
  expectedDump,
  smallTargets,
  spaceOnTargets,
} from '../../kdump/service/expected-dump.ts';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { KdumpError } from '../../lib/errors.ts';
import { printJson, warn } from './service.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'estimate',
  describe: 'tell how much memory a capture needs, and how large a dump would be',
  builder: (yargs: Argv) => yargs.option('json', { type: 'boolean', default: false, describe: 'print JSON' }),
  handler: (args) => {
    const { json }: { json: boolean } = args as never;
    const doors = machineServiceDoors();
    const settings = effectiveSettings(doors.root);
    const estimated = estimate(readEstimateFacts(settings, doors));
    let dump: ExpectedDump | null = null;
    let unknown: string | null = null;
    try {
      dump = expectedDump(settings, '/proc/kcore', doors.root);
    } catch (error) {
      if (!(error instanceof KdumpError || (error instanceof Error && 'code' in error))) throw error;
      unknown = error.message;
    }
    const spaces = spaceOnTargets(settings, doors.root);
    if (json) return printJson({ ...estimated, dump, dumpUnknown: unknown, spaces });
    print(estimated);
    if (dump !== null)
      row(
        `Expected dump (level ${dump.level})`,
        `${mebibytes(dump.bytes)} of ${mebibytes(dump.memory)}, before compression`,
      );
    for (const { target, free } of spaces) row(`Free on ${target}`, mebibytes(free));
    for (const warning of estimated.warnings) warn(warning);
    for (const { target, free } of dump === null ? [] : smallTargets(dump, spaces))
      warn(
        `${target} has ${mebibytes(free)} free, and a dump of the machine as it is now has ${mebibytes(dump!.bytes)} before it is compressed`,
      );
    if (unknown !== null) warn(`how large a dump would be is not known: ${unknown}`);
  },
};

function print({ reserved, recommended, items, needed, measured, largeModules }: Estimate): void {
  row('Reserved crashkernel', mebibytes(reserved));
  row('Recommended crashkernel', mebibytes(recommended));
  process.stdout.write('\n');
  for (const { name, bytes } of items) row(name, mebibytes(bytes));
  row('Needed at once', mebibytes(needed));
  if (measured !== null) row('Measured at a capture', mebibytes(measured));
  if (largeModules.length > 0) {
    process.stdout.write('Large modules:\n');
    for (const { path, bytes } of largeModules) row(`    ${path}`, mebibytes(bytes));
  }
}

const column = 28;
const row = (name: string, value: string): undefined =>
  void process.stdout.write(`${`${name}:`.padEnd(column)}${value}\n`);
const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
