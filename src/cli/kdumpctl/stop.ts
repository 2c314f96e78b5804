import type { Argv } from 'yargs';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { giveUpReserves } from '../../kdump/service/reserves.ts';
import { stop } from '../../kdump/service/start.ts';
import { savesOfArmed } from '../../kdump/service/state.ts';
import { carryOut } from './service.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'stop',
  describe: 'unload the crash kernel',
  builder: (yargs: Argv) => yargs.option('json', { type: 'boolean', default: false, describe: 'print JSON' }),
  handler: (args) => {
    const { json }: { json: boolean } = args as never;
    carryOut('Stopping kdump', json, (tell) => {
      const doors = machineServiceDoors();
      const saves = savesOfArmed(doors.directory);
      const stopped = stop(doors);
      giveUpReserves(saves, doors.root);
      for (const warning of stopped.warnings) tell.warning(warning);
      if (!stopped.wasArmed) tell.info('no crash kernel was loaded');
      return stopped;
    });
  },
};
