import type { Argv } from 'yargs';
import { whyNotFeasible } from '../../kdump/service/feasible.ts';
import { readMachine } from '../../kexec/machine.ts';
import { printJson, say } from './service.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'showmem',
  describe: 'tell how much memory is reserved for the crash kernel',
  builder: (yargs: Argv) =>
    yargs
      .option('root', { type: 'string', default: '/', describe: 'the root below which the files lie' })
      .option('json', { type: 'boolean', default: false, describe: 'print JSON' }),
  handler: (args) => {
    const { root, json }: { root: string; json: boolean } = args as never;
    const machine = readMachine(root);
    const bytes = machine.crash.size ?? 0;
    if (json) printJson({ reserved: bytes, regions: machine.crash.regions });
    else say(`Reserved ${Math.floor(bytes / 2 ** 20)}MB memory for crash kernel`);
    const obstacle = whyNotFeasible(machine);
    if (obstacle !== null && !json) process.stderr.write(`kdump: ${obstacle.toText()}\n`);
  },
};
