import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from './proc.ts';
import { findProgram, run, runOrThrow } from './processes.ts';

/**
 * Whether systemd is the service manager and answers: it is PID 1 under its own name. In the last stage of a shutdown
 * PID 1 is systemd-shutdown, which calls kexec itself and must not be asked to.
 */
export function isSystemdRunning(root = '/'): boolean {
  return existsSync(join(root, 'run/systemd/system')) && readText(root, 'proc/1/comm')?.trim() === 'systemd';
}

/** Whether systemd is on its way down already. @throws KdumpError of run() when it cannot be asked. */
export function isSystemdStopping(): boolean {
  const { stdout } = run(programNamed('systemctl'), ['is-system-running'], { timeout: 30 });
  return stdout.toString().trim() === 'stopping';
}

/** Has systemd stop the services and jump into the loaded kernel. @throws KdumpError of runOrThrow() */
export function systemctlKexec(): void {
  runOrThrow(programNamed('systemctl'), ['kexec'], { timeout: 120 });
}

/** Has whatever service manager there is reboot; its scripts jump when an image is loaded. @throws as systemctlKexec. */
export function shutdownForReboot(): void {
  runOrThrow(programNamed('shutdown'), ['-r', 'now'], { timeout: 120 });
}

/** The full path, since an administrator's programs may lie outside of PATH; the bare name names it in an error. */
const programNamed = (name: string): string => findProgram(name) ?? name;
