import { KdumpError } from '../lib/errors.ts';
import type { KernelImage } from './image/kernel-image.ts';
import { isLockedDown, type MachineFacts } from './machine.ts';
import { exitCodes, type Syscall } from './uapi.ts';

/** Which system call is asked for: -a (also when nothing is said), -s, -c. */
export type SyscallChoice = 'auto' | Syscall;

export type SyscallWish = {
  readonly choice: SyscallChoice;
  /** Options given that only kexec_load can honour, as they are written, e.g. "--mem-min". */
  readonly placingOptions: readonly string[];
  /** The same for kexec_file_load. */
  readonly fileOptions: readonly string[];
};

export type Chosen = {
  readonly first: Syscall;
  /** Tried when the first one answers that it cannot do it; null: nothing is. */
  readonly fallback: Syscall | null;
  /** Why there is no fallback, as a sentence; null when there is one. */
  readonly noFallback: string | null;
};

/**
 * Which system calls a load may use, and in which order. File mode goes first: the kernel checks signatures and keeps
 * its crash image up to date by itself. kexec_load is never chosen where lockdown forbids it.
 * @throws KdumpError `syscall-conflict` when the options contradict each other, `locked-down` when what is asked for
 *   needs kexec_load and may not have it.
 */
export function chooseSyscalls(wish: SyscallWish, kernel: KernelImage, machine: MachineFacts): Chosen {
  const reason = needsKexecLoad(wish, kernel);
  const locked = isLockedDown(machine);
  if (wish.choice === 'kexec_file_load' || wish.fileOptions.length > 0) {
    const asked = wish.choice === 'kexec_file_load' ? '-s' : wish.fileOptions[0]!;
    if (reason !== null) throw conflict(`${asked} asks for kexec_file_load, but ${reason}`, kernel);
    return {
      first: 'kexec_file_load',
      fallback: null,
      noFallback: `${asked} asks for kexec_file_load alone`,
    };
  }
  if (reason !== null) {
    if (locked) throw lockedDown(reason, machine);
    return { first: 'kexec_load', fallback: null, noFallback: reason };
  }
  return locked
    ? {
        first: 'kexec_file_load',
        fallback: null,
        noFallback: `lockdown (${machine.permission.lockdown}) forbids kexec_load`,
      }
    : { first: 'kexec_file_load', fallback: 'kexec_load', noFallback: null };
}

/** Why only kexec_load will do, as the end of a sentence, or null. */
function needsKexecLoad({ choice, placingOptions }: SyscallWish, kernel: KernelImage): string | null {
  if (placingOptions.length > 0) return `only kexec_load knows ${placingOptions.join(', ')}`;
  if (kernel.kind === 'vmlinux') return `only kexec_load takes a vmlinux, which ${kernel.path} is`;
  return choice === 'kexec_load' ? '-c asks for kexec_load alone' : null;
}

function conflict(message: string, { kind }: KernelImage): KdumpError {
  return new KdumpError('syscall-conflict', message, {
    fix: 'Leave out what asks for one of them.',
    ...(kind === 'vmlinux' ? { exitCode: exitCodes.failed } : {}),
  });
}

/** What needs kexec_load cannot be done while the kernel is locked down. */
export function lockedDown(reason: string, { permission }: MachineFacts): KdumpError {
  return new KdumpError(
    'locked-down',
    `the kernel is locked down (${permission.lockdown}), which forbids kexec_load; ${reason}`,
    {
      fix: 'Load a signed bzImage by kexec_file_load (-s), or boot without Secure Boot and lockdown=.',
      facts: { lockdown: permission.lockdown, secureBoot: permission.secureBoot },
      exitCode: exitCodes.failed,
    },
  );
}
