import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Argv } from 'yargs';
import { readState, stateDirectory } from '../../kdump/service/state.ts';
import { rehearse } from '../../kdump/trial/rehearsal/rehearse.ts';
import { describeVerdict } from '../../kdump/trial/rehearsal/verdict.ts';
import { readMachine } from '../../kexec/machine.ts';
import { KdumpError } from '../../lib/errors.ts';
import { parseSize } from '../../lib/size.ts';
import type { VerbModule } from './verb.ts';

/** Seconds to come up and read a file, without KVM on a slow machine. */
const lookBound = 300;

type Options = {
  readonly json: boolean;
  readonly kvm: boolean;
  readonly memory: string | undefined;
  readonly timeout: number;
  readonly root: string;
  readonly state: string;
};

export const command: VerbModule['command'] = {
  command: 'rehearse',
  describe: 'crash a virtual machine that has the very capture image of this one',
  builder: (yargs: Argv) =>
    yargs
      .option('memory', {
        type: 'string',
        describe: 'size of the reserved memory, such as 192M; what is reserved here when absent',
      })
      .option('kvm', {
        type: 'boolean',
        default: false,
        describe: 'let the processor run the guest: far faster, where it works',
      })
      .option('timeout', { type: 'number', default: 900, describe: 'seconds that the capture may take' })
      .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
      .option('root', { type: 'string', default: '/', hidden: true })
      .option('state', { type: 'string', default: stateDirectory, hidden: true }),
  handler: (args) => {
    const { json, kvm, memory, timeout, root, state }: Options = args as never;
    const { armed } = readState(state);
    if (armed === null)
      throw new KdumpError(
        'not-armed',
        'the machine was not armed by kdumpctl yet: there is nothing to rehearse',
        {
          fix: 'Arm it by kdumpctl start.',
        },
      );
    const kexecBundle = fileURLToPath(new URL('./kexec.mjs', import.meta.url));
    if (!existsSync(kexecBundle)) throw new KdumpError('not-built', `${kexecBundle} does not exist`);
    if (!json) process.stdout.write('kdump: crashing a virtual machine, which takes some minutes\n');
    const verdict = rehearse({
      kernel: armed.kernel.path,
      kernelRelease: armed.kernel.release,
      image: armed.image.path,
      commandLine: armed.commandLine,
      kexecArgs: armed.kexecArgs,
      crashBytes: memory === undefined ? (readMachine(root).crash.size ?? 0) : parseSize(memory, 'memory'),
      modulesRoot: root,
      kexecBundle,
      node: process.execPath,
      accelerator: kvm ? 'kvm' : 'tcg',
      deadline: timeout,
      lookBound,
    });
    process.stdout.write(json ? `${JSON.stringify(verdict, undefined, 2)}\n` : describeVerdict(verdict));
    if (!verdict.passed) process.exitCode = 1;
  },
};
