import { KdumpError } from '../lib/errors.ts';
import type { MachineFacts } from './machine.ts';
import { exitCodes, type ImageType } from './uapi.ts';

/**
 * Reasons why this process may not load or unload an image on this machine, most basic first: what the kernel's
 * kexec_load_permitted() tests (it counts unloads against the limits as well). Lockdown is not among them: it
 * forbids unsigned kernels only, and the kernel alone can tell whether a signature is good.
 */
export function permissionErrors(type: ImageType, machine: MachineFacts): KdumpError[] {
  const { capSysBoot, loadDisabled, limits } = machine.permission;
  const errors: KdumpError[] = [];
  if (capSysBoot === false)
    errors.push(
      new KdumpError(
        'no-permission',
        'loading a kernel needs the capability CAP_SYS_BOOT, which this process lacks',
        {
          fix: 'Run as root, outside a container.',
          facts: { capSysBoot },
          exitCode: exitCodes.failed,
        },
      ),
    );
  if (loadDisabled === true)
    errors.push(
      new KdumpError(
        'kexec-load-disabled',
        'kernel.kexec_load_disabled is 1: no image can be loaded or unloaded any more',
        {
          fix: 'It stays so until the next boot. Find what sets it (sysctl.d, a security profile), or load the image before that.',
          facts: { loadDisabled },
          exitCode: exitCodes.failed,
        },
      ),
    );
  if (limits[type] === 0) {
    const sysctl = type === 'crash' ? 'kernel.kexec_load_limit_panic' : 'kernel.kexec_load_limit_reboot';
    errors.push(
      new KdumpError('kexec-load-limit', `${sysctl} is 0: this boot's number of loads is used up`, {
        fix: 'The limit can only be lowered until the next boot. Find what sets it (sysctl.d), and raise it there.',
        facts: { limit: 0, sysctl },
        exitCode: exitCodes.failed,
      }),
    );
  }
  return errors;
}
