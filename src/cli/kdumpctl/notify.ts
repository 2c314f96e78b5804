import { join } from 'node:path';
import type { Argv } from 'yargs';
import { readSettings } from '../../kdump/config/settings.ts';
import { describeTarget } from '../../kdump/config/target.ts';
import { planNotifications, readTold, recordTold, type Telling, tell } from '../../kdump/dumps/notify.ts';
import { accountsDirectory } from '../../kdump/dumps/places.ts';
import { pruneAccounts } from '../../kdump/dumps/remove.ts';
import { stateDirectory } from '../../kdump/service/state.ts';
import { askElsewhere } from '../../kdump/trial/ask-elsewhere.ts';
import { localTargetDoors } from '../../kdump/trial/target-test/local-doors.ts';
import { settleTest } from '../../kdump/trial/test-result.ts';
import { describeError } from '../../lib/errors.ts';
import { findOwnDumps } from './dumps.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'notify',
  describe: 'tell of dumps that nobody was told of yet',
  builder: (yargs: Argv) =>
    yargs
      .option('dry-run', {
        alias: 'n',
        type: 'boolean',
        default: false,
        describe: 'print who would be told of what',
      })
      .option('state', { type: 'string', default: stateDirectory, hidden: true })
      .option('root', { type: 'string', default: '/', describe: 'the root below which the settings lie' }),
  handler: async (args) => {
    const { dryRun, state, root } = args as unknown as { dryRun: boolean; state: string; root: string };
    const { settings } = readSettings(root);
    // Dumps of others, where they save theirs, too, are not this machine's news.
    const { dumps, unseen } = findOwnDumps(root);
    const elsewhere = settings.targets.filter((target) =>
      unseen.some((place) => place.target === describeTarget(target)),
    );
    const ask = (name: string) => askElsewhere(elsewhere, settings, name, localTargetDoors(settings));
    const test = dryRun ? null : settleTest(state, dumps, ask, new Date());
    if (test !== null)
      process.stdout.write(`The test ${test.passed ? 'passed' : 'failed'}: ${test.detail}\n`);

    const told = readTold(state);
    const plan = planNotifications(dumps, settings.notifications, told, Date.now());
    const done: Telling[] = [];
    for (const telling of plan) {
      const { dump, notification } = telling;
      const line = `${notification.how} ${notification.to}: ${dump.name}`;
      try {
        if (!dryRun) await tell(telling);
        done.push(telling);
        process.stdout.write(`${line}\n`);
      } catch (error) {
        process.stderr.write(`kdump: ${line}: ${describeError(error)}\n`);
        process.exitCode = 1;
      }
    }
    if (!dryRun) pruneAccounts(join(root, accountsDirectory));
    // Also when there is nothing: from now on, all that is not recorded is news.
    if (!dryRun) recordTold(state, told ?? [], done);
  },
};
