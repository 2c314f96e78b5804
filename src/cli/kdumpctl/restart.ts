import type { Argv } from 'yargs';
import { armMachine, carryOut } from './service.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: ['restart', 'reload'],
  describe: 'load the crash kernel over the one that is loaded',
  builder: (yargs: Argv) => yargs.option('json', { type: 'boolean', default: false, describe: 'print JSON' }),
  handler: (args) => {
    const { json, _: words }: { json: boolean; _: string[] } = args as never;
    const what = words[0] === 'reload' ? 'Reloading kdump' : 'Restarting kdump';
    carryOut(what, json, (tell) => armMachine(tell, { again: true }));
  },
};
