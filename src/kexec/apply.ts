import { closeSync, fstatSync } from 'node:fs';
import { KdumpError } from '../lib/errors.ts';
import { errnoName } from '../system/errno.ts';
import { type CallResult, kexecFileLoad, kexecLoad } from '../system/kexec.ts';
import type { Attempt } from './attempts.ts';
import { explainErrno } from './explain.ts';
import { describeLoaded, type MachineFacts, readMachine } from './machine.ts';
import { permissionErrors } from './permission.ts';
import type { LoadImages, Plan } from './plan.ts';
import { restated } from './restate.ts';
import type { Segment } from './segments/segment.ts';
import { exitCodes, flagBits, kexecFileFlags, type Syscall } from './uapi.ts';

/** What applying needs of the machine; tests put their own in its place. */
export type Doors = {
  kexecFileLoad(kernelFd: number, initrdFd: number, commandLine: string, flags: number): CallResult;
  kexecLoad(entry: number, segments: readonly Segment[], flags: number): CallResult;
  readMachine(): MachineFacts;
};

export type Applied = {
  /** Whether an image of this type was loaded before, and whether one is now; null where /sys does not say. */
  readonly before: boolean | null;
  readonly after: boolean | null;
  /** The call that did it, and the flags that were passed. */
  readonly syscall: Syscall;
  readonly flagBits: number;
  /** Why the first call did not do it, when the fallback did. */
  readonly fellBack: KdumpError | null;
};

export const machineDoors: Doors = { kexecFileLoad, kexecLoad, readMachine: () => readMachine('/') };

/**
 * Does what the plan says with one system call, or two, and believes the kernel, not the call, about the result.
 * @param images what a plan that loads by kexec_file_load was made of; null for plans that load no files.
 * @throws KdumpError before anything is touched: one of permissionErrors, `file-changed`, or what opening throws;
 *   after it: `load-failed`, `unload-failed`, `not-loaded`, `still-loaded`. These say what is loaded now; their facts
 *   `loadedBefore` and `loadedAfter` say it to programs.
 */
export function applyPlan(plan: Plan, images: LoadImages | null, doors: Doors = machineDoors): Applied {
  const machine = doors.readMachine();
  const forbidden = permissionErrors(plan.type, machine)[0];
  if (forbidden) throw forbidden;
  const before = machine.loaded[plan.type];
  const opened: number[] = [];
  try {
    const fds =
      plan.action === 'load' && images !== null ? openAsPlanned(plan.first, images, opened) : noFiles;
    let made = makeCall(plan.first, plan, fds, machine, doors);
    let fellBack: KdumpError | null = null;
    if (
      !made.result.ok &&
      plan.fallback !== null &&
      plan.fallbackErrnos.includes(errnoName(made.result.errno))
    ) {
      fellBack = explainErrno(made.result.errno, made.syscall, plan, doors.readMachine());
      made = makeCall(plan.fallback, plan, noFiles, machine, doors);
    }
    const now = doors.readMachine();
    const after = now.loaded[plan.type];
    const failure = made.result.ok
      ? disbelief(plan, made.syscall, after)
      : explainErrno(made.result.errno, made.syscall, plan, now);
    if (failure !== null) throw withOutcome(failure, fellBack, plan, before, after);
    return { before, after, syscall: made.syscall, flagBits: made.flagBits, fellBack };
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

type Files = { readonly kernel: number; readonly initrd: number };
const noFiles: Files = { kernel: -1, initrd: -1 };

type Made = { readonly syscall: Syscall; readonly flagBits: number; readonly result: CallResult };

function makeCall(attempt: Attempt, plan: Plan, fds: Files, machine: MachineFacts, doors: Doors): Made {
  if (attempt.syscall === 'kexec_load') {
    const result = doors.kexecLoad(attempt.entry, attempt.segments, attempt.flagBits);
    return { syscall: attempt.syscall, flagBits: attempt.flagBits, result };
  }
  const debug = plan.action === 'load' && plan.debug && takesDebugFlag(machine, doors);
  const bits = debug ? flagBits([...attempt.flags, 'KEXEC_FILE_DEBUG']) : attempt.flagBits;
  const result = doors.kexecFileLoad(fds.kernel, fds.initrd, attempt.commandLine, bits);
  return { syscall: attempt.syscall, flagBits: bits, result };
}

/** A call that reports success while the kernel says otherwise. */
function disbelief(plan: Plan, syscall: Syscall, after: boolean | null): KdumpError | null {
  const unloading = plan.action === 'unload';
  if (after === null || after === !unloading) return null;
  return new KdumpError(
    unloading ? 'still-loaded' : 'not-loaded',
    `${syscall} reported success, but the kernel says that ${unloading ? 'an image' : 'nothing'} is loaded`,
    {
      fix: unloading
        ? 'Something else may have loaded one at the same moment.'
        : 'Something else may have unloaded it at the same moment. Try again.',
      exitCode: exitCodes.failed,
    },
  );
}

/** The files of a load in file mode; kexec_load has its bytes already. */
function openAsPlanned(attempt: Attempt, { kernel, initrd }: LoadImages, opened: number[]): Files {
  if (attempt.syscall === 'kexec_load') return noFiles;
  const open = (role: string, path: string, expected: number, openFile: () => number): number => {
    const fd = openFile();
    opened.push(fd);
    const { size } = fstatSync(fd);
    if (size === expected) return fd;
    throw new KdumpError(
      'file-changed',
      `${role} ${path}: has ${size} bytes now, ${expected} when it was checked`,
      {
        fix: 'Something is writing it. Try again when it is done.',
        facts: { path, size, planned: expected },
        exitCode: exitCodes.failed,
      },
    );
  };
  return {
    kernel: open('kernel', kernel.path, kernel.content.size, () => kernel.openFile()),
    initrd: initrd === null ? -1 : open('initrd', initrd.path, initrd.content.size, () => initrd.openFile()),
  };
}

/**
 * Whether this kernel knows KEXEC_FILE_DEBUG. No file says so, and a kernel that does not know the flag refuses the
 * whole load. So it is asked: a normal load from no file at all answers EINVAL for an unknown flag and EBADF for a
 * known one, and either way touches neither of the loaded images. The question counts against
 * kernel.kexec_load_limit_reboot, so it is not put where there is such a limit.
 */
function takesDebugFlag(machine: MachineFacts, doors: Doors): boolean {
  const limit = machine.permission.limits.normal;
  if (limit !== null && limit !== -1) return false;
  const { KEXEC_FILE_DEBUG, KEXEC_FILE_NO_INITRAMFS } = kexecFileFlags;
  const answer = doors.kexecFileLoad(-1, -1, '', KEXEC_FILE_DEBUG | KEXEC_FILE_NO_INITRAMFS);
  return !answer.ok && answer.errno === EBADF;
}

const EBADF = 9;

/** The same error, with what was tried before it; its cause is kept without what is loaded now, which may change. */
function withOutcome(
  error: KdumpError,
  fellBack: KdumpError | null,
  plan: Plan,
  before: boolean | null,
  after: boolean | null,
): KdumpError {
  const facts = { ...error.facts, firstErrno: fellBack?.facts.errno };
  const whole =
    fellBack === null ? error : restated(error, `${error.message}; before it, ${fellBack.message}`, facts);
  const gone = plan.action === 'load' && before === true && after === false;
  const outcome = `${describeLoaded(plan.type, after)}${gone ? ' (the one that was is gone: the kernel drops it before it looks at the new one)' : ''}`;
  return restated(whole, `${whole.message}; ${outcome}`, {
    ...facts,
    loadedBefore: before,
    loadedAfter: after,
  });
}
