import { KdumpError } from '../../lib/errors.ts';
import { testParameter } from '../capture/test-handshake.ts';
import { writeStatus } from './test-status.ts';

/** What a crash on purpose needs of the machine. */
export type CrashTestDoors = {
  /** Where the service keeps what it remembers. */
  readonly directory: string;
  /** Nanoseconds since 1970. */
  now(): bigint;
  isArmed(): boolean;
  /** Loads the crash kernel with one more parameter; gives back the name of what is armed then. */
  rearm(parameter: string): { readonly setup: string };
  /** Everything that is written so far goes to the disks. */
  syncAll(): void;
  /** Crashes the machine at once, and returns only where that does not work. */
  crash(): void;
};

/**
 * Crashes the machine on purpose, under a number by which the next boot finds what came of it: the capture is told on
 * its command line, and /var/lib/kdump remembers it.
 * @throws KdumpError `not-armed`, `not-crashed`, and what arming throws
 */
export function crashOnPurpose(doors: CrashTestDoors): never {
  if (!doors.isArmed())
    throw new KdumpError('not-armed', 'no crash kernel is loaded: a test would only take the machine down', {
      fix: 'Arm it by kdumpctl start.',
    });
  const id = String(doors.now());
  const { setup } = doors.rearm(`${testParameter}=${id}`);
  writeStatus(doors.directory, { word: 'pending', id, setup });
  doors.syncAll();
  doors.crash();
  throw new KdumpError('not-crashed', 'the kernel was told to crash by /proc/sysrq-trigger, and did not', {
    fix: 'A test needs a machine of its own, not a container. kdumpctl start arms it as it was before.',
  });
}
