import { effectiveSettings } from '../../kdump/config/settings.ts';
import { systemKnownHosts } from '../../kdump/image/ssh.ts';
import { propagate } from '../../kdump/trial/propagate.ts';
import { runInteractive } from '../../system/interactive.ts';
import { run } from '../../system/processes.ts';
import type { VerbModule } from './verb.ts';

/** A password may have to be looked up. */
const patience = 600;
const bound = 60;

export const command: VerbModule['command'] = {
  command: 'propagate',
  describe: 'let the capture log in to the ssh targets',
  handler: () =>
    propagate(effectiveSettings(), {
      talk: (program, args) => runInteractive(program, args, patience),
      run: (program, args) => run(program, args, { timeout: bound }),
      knownHosts: systemKnownHosts,
      say: (line) => void process.stdout.write(`${line}\n`),
    }),
};
