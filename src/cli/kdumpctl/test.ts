import { readSync, writeFileSync } from 'node:fs';
import type { Argv } from 'yargs';
import { effectiveSettings } from '../../kdump/config/settings.ts';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { start } from '../../kdump/service/start.ts';
import { crashOnPurpose } from '../../kdump/trial/crash-test.ts';
import { KdumpError } from '../../lib/errors.ts';
import { syncAll } from '../../system/reboot.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'test',
  describe: 'crash this machine, to see whether that is saved',
  builder: (yargs: Argv) =>
    yargs.option('force', { alias: 'f', type: 'boolean', default: false, describe: 'do not ask' }),
  handler: (args) => {
    const { force } = args as unknown as { force: boolean };
    const settings = effectiveSettings();
    const doors = machineServiceDoors();
    if (!force && !isConfirmed()) throw new KdumpError('not-confirmed', 'Kdump test was not confirmed');
    crashOnPurpose({
      directory: doors.directory,
      now: () => BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n),
      isArmed: () => doors.kexec.readMachine().loaded.crash === true,
      rearm: (parameter) => start(settings, doors, { append: parameter, again: true }).armed,
      syncAll,
      crash: () => writeFileSync('/proc/sysrq-trigger', 'c'),
    });
  },
};

function isConfirmed(): boolean {
  process.stdout.write('DANGER!!! Will perform a kdump test by crashing the system, proceed? (y/N): ');
  const answer = Buffer.alloc(64);
  try {
    return /^y(es)?$/i.test(answer.toString('utf8', 0, readSync(0, answer)).trim());
  } catch {
    // Nobody is there to ask.
    return false;
  }
}
