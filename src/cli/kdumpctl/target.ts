import { writeSync } from 'node:fs';
import type { Argv } from 'yargs';
import type { EffectiveSettings } from '../../kdump/config/effective.ts';
import { effectiveSettings } from '../../kdump/config/settings.ts';
import { describeTarget } from '../../kdump/config/target.ts';
import { recordTarget, stateDirectory } from '../../kdump/service/state.ts';
import { defaultBound, lineOf, outcomeInTime } from '../../kdump/trial/target-test/in-time.ts';
import { localTargetDoors, unmountAfter } from '../../kdump/trial/target-test/local-doors.ts';
import { describeOutcome, type TriedStep } from '../../kdump/trial/target-test/outcome.ts';
import { testTarget } from '../../kdump/trial/target-test/target-test.ts';
import { startBeside } from '../../system/beside.ts';
import type { VerbModule } from './verb.ts';

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
            .option('timeout', {
              type: 'number',
              default: defaultBound,
              describe: 'seconds for each of them',
            })
            .option('only', { type: 'number', hidden: true })
            .option('state', { type: 'string', default: stateDirectory, hidden: true })
            .option('root', {
              type: 'string',
              default: '/',
              describe: 'the root below which the settings lie',
            }),
        (args) => test(args as never),
      )
      .demandCommand(1, 'test is needed'),
  handler: () => {},
};

type Options = {
  readonly json: boolean;
  readonly root: string;
  readonly state: string;
  readonly timeout: number;
  readonly only: number | undefined;
};

function test({ only, ...options }: Options): void {
  const settings = effectiveSettings(options.root);
  if (only === undefined) testAll(settings, options);
  else testOne(settings, only);
}

function testAll(
  { targets }: EffectiveSettings,
  { json, root, state, timeout }: Omit<Options, 'only'>,
): void {
  const outcomes = targets.map((target, index) => {
    const words = [process.argv[1]!, 'target', 'test', '--root', root, '--only', String(index)];
    const trial = startBeside(process.execPath, words, { stdin: 'none' });
    const outcome = outcomeInTime(describeTarget(target), trial, timeout);
    unmountAfter(trial.pid);
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

/** In a process of its own, which may come to hang. */
function testOne(settings: EffectiveSettings, index: number): void {
  const tell = (step: TriedStep): void => void writeSync(1, lineOf(step));
  const { ok } = testTarget(settings.targets[index]!, settings, localTargetDoors(settings), tell);
  if (!ok) process.exitCode = 1;
}
