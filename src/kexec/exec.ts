import { KdumpError } from '../lib/errors.ts';
import { errnoName, errnoText } from '../system/errno.ts';
import type { CallResult } from '../system/kexec.ts';
import { listInterfacesUp, setInterfaceUp } from '../system/network-interfaces.ts';
import { reboot, syncAll } from '../system/reboot.ts';
import {
  isSystemdRunning,
  isSystemdStopping,
  shutdownForReboot,
  systemctlKexec,
} from '../system/service-manager.ts';
import { type MachineFacts, readMachine } from './machine.ts';

/** What jumping needs of the machine; tests put their own in its place. */
export type ExecDoors = {
  readMachine(): MachineFacts;
  /** systemd is PID 1 and not on its way down. */
  hasServiceManager(): boolean;
  systemctlKexec(): void;
  shutdownForReboot(): void;
  sync(): void;
  interfacesUp(): readonly string[];
  setInterfaceUp(name: string, up: boolean): CallResult;
  /** reboot(2) into the loaded image; returns only when it was refused. */
  reboot(): CallResult;
};

const machineDoors: ExecDoors = {
  readMachine: () => readMachine('/'),
  hasServiceManager: () => isSystemdRunning() && !isSystemdStopping(),
  systemctlKexec,
  shutdownForReboot,
  sync: syncAll,
  interfacesUp: () => listInterfacesUp(),
  setInterfaceUp,
  reboot: () => reboot('kexec'),
};

export type JumpOptions = {
  /** sync(2) before (not with -y). */
  readonly sync: boolean;
  /** Take network interfaces down before (not with -x). */
  readonly interfaces: boolean;
};

/**
 * -e: has systemd stop the services and jump; where it does not answer (another service manager, or the end of a
 * shutdown, whose scripts call this), jumps at once.
 * @throws KdumpError as jumpNow, or what systemctl said.
 */
export function execute(options: JumpOptions, doors: ExecDoors = machineDoors): void {
  checkLoaded(doors);
  if (doors.hasServiceManager()) doors.systemctlKexec();
  else jumpNow(options, doors);
}

/**
 * `kexec KERNEL`, once it is loaded: a reboot, in which the service manager jumps.
 * @throws KdumpError `nothing-loaded`, or what systemctl or shutdown said.
 */
export function rebootIntoLoaded(doors: ExecDoors = machineDoors): void {
  checkLoaded(doors);
  if (doors.hasServiceManager()) doors.systemctlKexec();
  else doors.shutdownForReboot();
}

/**
 * Jumps into the loaded image at once: no service is stopped, no file system unmounted. Interfaces go down last, when
 * all that can be known speaks for the jump, and come up again when the kernel refuses it all the same.
 * @throws KdumpError `nothing-loaded`, `no-permission`, `exec-failed`; returning is as impossible as it can be made.
 */
export function jumpNow({ sync, interfaces }: JumpOptions, doors: ExecDoors = machineDoors): void {
  checkLoaded(doors);
  if (sync) doors.sync();
  const down: string[] = [];
  let lost: readonly string[] = [];
  let result: CallResult;
  try {
    if (interfaces) takeDown(down, doors);
    result = doors.reboot();
  } finally {
    lost = setUpAgain(down, doors);
  }
  const errno = result.ok ? null : result.errno;
  throw new KdumpError(
    'exec-failed',
    `reboot(2) into the loaded kernel failed: ${
      errno === null ? 'it returned' : `${errnoName(errno)}: ${causes[errnoName(errno)] ?? errnoText(errno)}`
    }; ${restored(down, lost)}`,
    {
      fix: 'See `dmesg`; `systemctl kexec` or `reboot` end the services first.',
      facts: {
        errno: errno === null ? null : errnoName(errno),
        interfaces: down.join(' '),
        notRestored: lost.join(' '),
      },
    },
  );
}

/** kernel/reboot.c and kernel_kexec() in kernel/kexec_core.c. */
const causes: Readonly<Record<string, string>> = {
  EPERM: 'it needs the capability CAP_SYS_BOOT',
  EINVAL: 'nothing is loaded, or this kernel was built without kexec',
  EBUSY: 'a load or a crash hotplug update is under way',
};

/** Only a plain "yes" of the kernel counts: what follows cannot be undone. */
function checkLoaded(doors: ExecDoors): void {
  const { loaded, permission } = doors.readMachine();
  if (permission.capSysBoot === false)
    throw new KdumpError('no-permission', 'jumping into a kernel needs the capability CAP_SYS_BOOT', {
      fix: 'Run as root, outside a container.',
      facts: { capSysBoot: false },
    });
  if (loaded.normal === true) return;
  throw new KdumpError(
    'nothing-loaded',
    loaded.normal === false
      ? 'Nothing has been loaded!'
      : 'Nothing has been loaded, as far as can be told: /sys/kernel/kexec_loaded cannot be read',
    { fix: 'Load a kernel first: kexec -l KERNEL.', facts: { loaded: loaded.normal } },
  );
}

/** Highest first: what stands on another interface goes before it. `down` gets those that went down, in that order. */
function takeDown(down: string[], doors: ExecDoors): void {
  for (const name of [...doors.interfacesUp()].reverse())
    if (doors.setInterfaceUp(name, false).ok) down.push(name);
}

/** @returns those that did not come up */
function setUpAgain(down: readonly string[], doors: ExecDoors): string[] {
  return [...down].reverse().filter((name) => !doors.setInterfaceUp(name, true).ok);
}

function restored(down: readonly string[], lost: readonly string[]): string {
  if (down.length === 0) return 'no interface was taken down';
  const up = down.filter((name) => !lost.includes(name));
  return [
    ...(up.length > 0
      ? [`${up.join(', ')} taken down and set up again, without the routes that were added`]
      : []),
    ...(lost.length > 0 ? [`${lost.join(', ')} could not be set up again`] : []),
  ].join('; ');
}
