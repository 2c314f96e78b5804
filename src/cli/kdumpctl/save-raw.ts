import { effectiveSettings } from '../../kdump/config/settings.ts';
import { saveRaw } from '../../kdump/service/last-crash.ts';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { say } from './service.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'save-raw',
  describe: 'save the dump that a raw partition holds as a file',
  handler: () => {
    const doors = machineServiceDoors();
    const saved = saveRaw([effectiveSettings(doors.root)], doors);
    for (const path of saved) say(`saved ${path}`);
    if (saved.length === 0) say('no raw partition among the targets holds a dump');
  },
};
