import type { MachineFacts } from '../../kexec/machine.ts';
import { KdumpError } from '../../lib/errors.ts';

/** Why this machine cannot be armed as it was booted, in the originals' words; null: it can be. */
export function whyNotFeasible(machine: MachineFacts): KdumpError | null {
  if (machine.loaded.crash === null)
    return new KdumpError('kdump-unsupported', 'Kdump is not supported on this kernel', {
      fix: 'Its configuration lacks CONFIG_CRASH_DUMP (there is no /sys/kernel/kexec_crash_loaded), or /sys is not mounted.',
    });
  if ((machine.crash.size ?? 0) === 0)
    return new KdumpError('no-crashkernel', 'No memory reserved for crash kernel', {
      fix: /\bcrashkernel=/.test(machine.commandLine ?? '')
        ? "crashkernel= is on the kernel command line, but the kernel could not reserve so much: see dmesg; a smaller size, or one with ',high', may do."
        : "Run kdumpctl reset-crashkernel and reboot; where crashkernel= stands in the boot loader's settings already, rebooting is enough.",
    });
  return null;
}
