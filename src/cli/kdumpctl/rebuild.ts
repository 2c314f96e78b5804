import type { Argv } from 'yargs';
import { effectiveSettings } from '../../kdump/config/settings.ts';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { rebuild } from '../../kdump/service/start.ts';
import { carryOut } from './service.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'rebuild',
  describe: 'build the capture image anew, and load nothing',
  builder: (yargs: Argv) => yargs.option('json', { type: 'boolean', default: false, describe: 'print JSON' }),
  handler: (args) => {
    const { json }: { json: boolean } = args as never;
    carryOut('Rebuilding the capture image', json, (tell) => {
      const doors = machineServiceDoors();
      const image = rebuild(effectiveSettings(doors.root), doors);
      for (const warning of image.warnings) tell.warning(warning);
      tell.info(`${image.path}: ${(image.bytes / 2 ** 20).toFixed(1)} MiB for kernel ${image.release}`);
      return image;
    });
  },
};
