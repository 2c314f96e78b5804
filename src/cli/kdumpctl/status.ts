import type { Argv } from 'yargs';
import { readSettings } from '../../kdump/config/settings.ts';
import { describeCrash } from '../../kdump/service/last-crash.ts';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { judgeStatus, readStatusFacts, type Status, type StatusItem } from '../../kdump/service/status.ts';
import { printJson, say } from './service.ts';
import type { VerbModule } from './verb.ts';

/** As service managers count: the program is not running. */
const notOperational = 3;

export const command: VerbModule['command'] = {
  command: 'status',
  describe: 'tell whether the next crash will be saved',
  builder: (yargs: Argv) =>
    yargs
      .option('root', { type: 'string', default: '/', describe: 'the root below which the files lie' })
      .option('json', { type: 'boolean', default: false, describe: 'print JSON' }),
  handler: (args) => {
    const { root, json }: { root: string; json: boolean } = args as never;
    const facts = readStatusFacts(readSettings(root), machineServiceDoors(root));
    const status = judgeStatus(facts);
    if (json) printJson({ ...status, armed: facts.state.armed });
    else print(status);
    if (!status.operational) process.exitCode = notOperational;
  },
};

const marks: Readonly<Record<StatusItem['state'], string>> = {
  ok: 'ok',
  warn: 'warn',
  fail: 'FAIL',
  unknown: '?',
};

function print({ operational, items, lastCrash }: Status): void {
  say(operational ? 'Kdump is operational' : 'Kdump is not operational');
  if (lastCrash !== null) say(describeCrash(lastCrash));
  for (const { name, state, actual, fix } of items) {
    process.stdout.write(`  ${marks[state].padEnd(5)} ${name}: ${actual}\n`);
    if (fix !== undefined) process.stdout.write(`        ${fix}\n`);
  }
}
