import type { Argv } from 'yargs';
import { effectiveSettings } from '../../kdump/config/settings.ts';
import { recordTarget, stateDirectory } from '../../kdump/service/state.ts';
import { localTargetDoors } from '../../kdump/trial/target-test/local-doors.ts';
import { describeOutcome } from '../../kdump/trial/target-test/outcome.ts';
import { testTarget } from '../../kdump/trial/target-test/target-test.ts';
import type { VerbModule } from './verbs.ts';

export const command: VerbModule['command'] = {
  command: 'target',
  describe: 'try the targets of dumps',
  builder: (yargs: Argv) =>
    yargs
      .command(
        'test',
        'reach every target, write, sync, rename, read back and delete',
        (y) =>
          y
            .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
            .option('state', { type: 'string', default: stateDirectory, hidden: true })
            .option('root', {
              type: 'string',
              default: '/',
              describe: 'the root below which the settings lie',
            }),
        (args) => test(args),
      )
      .demandCommand(1, 'test is needed'),
  handler: () => {},
};

function test({ json, root, state }: { json: boolean; root: string; state: string }): void {
  const settings = effectiveSettings(root);
  const doors = localTargetDoors(settings);
  const outcomes = settings.targets.map((target) => {
    const outcome = testTarget(target, settings, doors);
    if (!json) process.stdout.write(describeOutcome(outcome));
    recordTarget(state, {
      at: new Date().toISOString(),
      target: outcome.target,
      reachable: outcome.ok,
      detail: outcome.steps.find(({ ok }) => !ok)?.detail ?? null,
    });
    return outcome;
  });
  if (json) process.stdout.write(`${JSON.stringify(outcomes, undefined, 2)}\n`);
  if (outcomes.some(({ ok }) => !ok)) process.exitCode = 1;
}
