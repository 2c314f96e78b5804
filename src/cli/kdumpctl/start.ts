import type { Argv } from 'yargs';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { startEarly } from '../../kdump/service/start.ts';
import type { Narrator } from './narrator.ts';
import { armMachine, carryOut } from './service.ts';
import type { VerbModule } from './verb.ts';

type Options = { readonly json: boolean; readonly early: boolean };

export const command: VerbModule['command'] = {
  command: 'start',
  describe: 'arm the machine',
  builder: (yargs: Argv) =>
    yargs
      .option('early', {
        type: 'boolean',
        default: false,
        describe: 'with what it was armed with last, building nothing; at boot, before there is a network',
      })
      .option('json', { type: 'boolean', default: false, describe: 'print JSON' }),
  handler: (args) => {
    const { json, early }: Options = args as never;
    carryOut('Starting kdump', json, (tell) => (early ? armEarly(tell) : armMachine(tell)));
  },
};

function armEarly(tell: Narrator): object {
  const armed = startEarly(machineServiceDoors());
  tell.info(
    armed === null
      ? 'there is nothing to load yet, or it is loaded already'
      : `loaded ${armed.kernel.path} with ${armed.image.path}`,
  );
  return { outcome: armed === null ? 'nothing-to-do' : 'armed', armed };
}
