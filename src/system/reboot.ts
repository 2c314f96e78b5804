import { lastErrno, libc } from './ffi.ts';
import type { CallResult } from './kexec.ts';

/** Commands of reboot(2), linux/reboot.h; libc adds the magic numbers. */
export const rebootCommands = {
  restart: 0x01234567,
  powerOff: 0x4321fedc,
  halt: 0xcdef0123,
  /** Jumps into the image that is loaded, at once: no service is stopped, no file system unmounted. */
  kexec: 0x45584543,
} as const;

export type RebootCommand = keyof typeof rebootCommands;

/**
 * reboot(2). Takes effect at once and does not sync: that is the caller's first. Returns only when it was refused.
 */
export function reboot(command: RebootCommand): CallResult {
  // unsigned: HALT does not fit a signed int, and the kernel looks at the 32 bits.
  const returned = libc('int reboot(unsigned int cmd)')(rebootCommands[command]);
  return returned === 0 ? { ok: true } : { ok: false, errno: lastErrno() };
}

/** sync(2): everything that is written so far goes to the disks before this returns. */
export function syncAll(): void {
  libc('void sync(void)')();
}
