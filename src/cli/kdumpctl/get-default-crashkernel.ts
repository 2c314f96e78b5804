import type { Argv } from 'yargs';
import { tableCrashkernel } from '../../kdump/service/crashkernel.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: 'get-default-crashkernel [mode]',
  describe: 'print the crashkernel= that suits this machine',
  builder: (yargs: Argv) =>
    yargs
      .positional('mode', { type: 'string', default: 'kdump', describe: 'kdump' })
      .option('root', { type: 'string', default: '/', describe: 'the root below which the files lie' }),
  handler: (args) => {
    const { root, mode }: { root: string; mode: string } = args as never;
    if (mode !== 'kdump')
      throw new KdumpError(
        'usage',
        `"${mode}": only kdump is known; firmware-assisted dump is not supported`,
      );
    // Scripts put it into a command line: no newline, as in the original.
    process.stdout.write(tableCrashkernel(root));
  },
};
