import type { Argv } from 'yargs';
import { effectiveSettings } from '../../kdump/config/settings.ts';
import { equipNewKernel } from '../../kdump/service/renew-crashkernel.ts';
import { renewalDoors } from './renew-crashkernel.ts';
import { say } from './service.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: '_reset-crashkernel-for-installed_kernel <release>',
  describe: 'what kernel-install calls when a kernel was installed',
  builder: (yargs: Argv) => yargs.positional('release', { type: 'string', demandOption: true }),
  handler: (args) => {
    const { release }: { release: string } = args as never;
    const doors = renewalDoors();
    const plan = equipNewKernel(release, effectiveSettings(doors.root), doors);
    if (plan !== null) say(`the kernel ${release} gets crashkernel= as well, which ${plan.by} was told`);
  },
};
