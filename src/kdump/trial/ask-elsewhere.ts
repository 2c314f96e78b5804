import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { sshArguments } from '../capture/targets/ssh-command.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { describeTarget, type Target } from '../config/target.ts';
import { shellQuote } from '../image/shell.ts';
import { mountOf, type TargetDoors } from './target-test/target-test.ts';
import { statusName } from './test-status.ts';

/** The line that the capture of a test has left, and where. */
export type Answer = { readonly line: string; readonly where: string };

/**
 * Asks the targets that cannot be looked at from here for the line of a test: another machine is logged in to, a file
 * system is mounted, read-only.
 * @param name of the dump directory of the test
 * @returns null when no target has it, undefined when one could not be asked
 */
export function askElsewhere(
  targets: readonly Target[],
  settings: EffectiveSettings,
  name: string,
  doors: TargetDoors,
): Answer | null | undefined {
  let isSure = true;
  for (const target of targets) {
    const where = `${describeTarget(target)}: ${posix.join(settings.path, name)}`;
    const line = lineOn(target, settings, posix.join(settings.path, name, statusName), doors);
    if (typeof line === 'string') return { line, where };
    if (line === undefined) isSure = false;
  }
  return isSure ? null : undefined;
}

function lineOn(
  target: Target,
  { sshKey }: EffectiveSettings,
  path: string,
  doors: TargetDoors,
): string | null | undefined {
  switch (target.kind) {
    case 'ssh': {
      const access = { key: sshKey, knownHosts: doors.knownHosts };
      const command = `if [ -e ${shellQuote(path)} ]; then cat ${shellQuote(path)}; else echo none; fi`;
      const { status, stdout } = doors.ssh([...sshArguments(target, access), command], new Uint8Array());
      if (status !== 0) return undefined;
      const line = stdout.toString().trim();
      return line === 'none' ? null : line;
    }
    case 'filesystem':
    case 'nfs':
    case 'virtiofs':
      return lineMounted(target, path, doors);
    default:
      return null;
  }
}

function lineMounted(
  target: Parameters<typeof mountOf>[0],
  path: string,
  doors: TargetDoors,
): string | null | undefined {
  let mountPoint: string;
  try {
    mountPoint = mountOf(target, doors, 'ro');
  } catch (error) {
    if (error instanceof KdumpError) return undefined;
    throw error;
  }
  try {
    return readFileSync(join(mountPoint, path), 'utf8');
  } catch {
    return null;
  } finally {
    doors.unmount(mountPoint);
  }
}
