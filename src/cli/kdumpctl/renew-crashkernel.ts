import type { Argv } from 'yargs';
import { effectiveSettings } from '../../kdump/config/settings.ts';
import { applyBootLoaderPlan } from '../../kdump/service/boot-loader/apply.ts';
import { readBootLoader } from '../../kdump/service/boot-loader/plan.ts';
import { machineServiceDoors } from '../../kdump/service/machine-doors.ts';
import { type RenewalDoors, renewCrashkernel } from '../../kdump/service/renew-crashkernel.ts';
import { isUnitEnabled } from '../../kdump/service/status.ts';
import { findProgram } from '../../system/processes.ts';
import { say } from './service.ts';
import type { VerbModule } from './verb.ts';

export const command: VerbModule['command'] = {
  command: '_reset-crashkernel-after-update',
  describe: 'what this package calls when it was updated',
  builder: (yargs: Argv) => yargs,
  handler: () => {
    const doors = renewalDoors();
    const renewal = renewCrashkernel(effectiveSettings(doors.root), doors);
    if (renewal !== null)
      say(
        `the default crashkernel=${renewal.before} is crashkernel=${renewal.after} now, which ${renewal.plan.by} was told: it counts from the next start of the machine (auto_reset_crashkernel)`,
      );
  },
};

export function renewalDoors(): RenewalDoors {
  const { root, directory } = machineServiceDoors();
  return {
    root,
    directory,
    isEnabled: isUnitEnabled(root) !== false,
    readBootLoader: () => readBootLoader(root, (program) => findProgram(program) !== undefined),
    apply: applyBootLoaderPlan,
  };
}
