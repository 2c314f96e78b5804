import { closeSync } from 'node:fs';
import { KdumpError } from '../lib/errors.ts';
import { type CallResult, kexecFileLoad } from '../system/kexec.ts';
import { explainErrno } from './explain.ts';
import { openForReading, sizeOf } from './files.ts';
import { describeLoaded, type MachineFacts, readMachine } from './machine.ts';
import { permissionErrors } from './permission.ts';
import type { LoadPlan, Plan } from './plan.ts';
import { exitCodes, flagBits, kexecFileFlags } from './uapi.ts';

/** What applying needs of the machine; tests put their own in its place. */
export type Doors = {
  kexecFileLoad(kernelFd: number, initrdFd: number, commandLine: string, flags: number): CallResult;
  readMachine(): MachineFacts;
};

export type Applied = {
  /** Whether an image of this type was loaded before, and whether one is now; null where /sys does not say. */
  readonly before: boolean | null;
  readonly after: boolean | null;
  /** The flags that were passed. */
  readonly flagBits: number;
};

const machineDoors: Doors = { kexecFileLoad, readMachine: () => readMachine('/') };

/**
 * Does what the plan says with one system call, and believes the kernel, not the call, about the result.
 * @throws KdumpError before anything is touched: one of permissionErrors, `kernel-file`, `initrd-file`, `file-changed`;
 *   after it: `load-failed`, `unload-failed`, `not-loaded`, `still-loaded`, and these say what is loaded now.
 */
export function applyPlan(plan: Plan, doors: Doors = machineDoors): Applied {
  const machine = doors.readMachine();
  const forbidden = permissionErrors(plan.type, machine)[0];
  if (forbidden) throw forbidden;
  const before = machine.loaded[plan.type];
  return plan.action === 'load' ? applyLoad(plan, machine, before, doors) : applyUnload(plan, before, doors);
}

function applyLoad(plan: LoadPlan, machine: MachineFacts, before: boolean | null, doors: Doors): Applied {
  const opened: number[] = [];
  try {
    const kernelFd = openAsPlanned('kernel', plan.kernel, opened);
    const initrdFd = plan.initrd === null ? -1 : openAsPlanned('initrd', plan.initrd, opened);
    const bits =
      plan.debug && takesDebugFlag(machine, doors)
        ? flagBits([...plan.flags, 'KEXEC_FILE_DEBUG'])
        : plan.flagBits;
    const result = doors.kexecFileLoad(kernelFd, initrdFd, plan.commandLine, bits);
    const now = doors.readMachine();
    const after = now.loaded[plan.type];
    if (!result.ok) throw withOutcome(explainErrno(result.errno, plan, now), plan, before, after);
    if (after === false)
      throw withOutcome(
        new KdumpError(
          'not-loaded',
          'kexec_file_load reported success, but the kernel says that nothing is loaded',
          {
            fix: 'Something else may have unloaded it at the same moment. Try again.',
            exitCode: exitCodes.failed,
          },
        ),
        plan,
        before,
        after,
      );
    return { before, after, flagBits: bits };
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function applyUnload(plan: Plan, before: boolean | null, doors: Doors): Applied {
  const result = doors.kexecFileLoad(-1, -1, '', plan.flagBits);
  const now = doors.readMachine();
  const after = now.loaded[plan.type];
  if (!result.ok) throw withOutcome(explainErrno(result.errno, plan, now), plan, before, after);
  if (after === true)
    throw withOutcome(
      new KdumpError(
        'still-loaded',
        'kexec_file_load reported success, but the kernel says that an image is loaded',
        {
          fix: 'Something else may have loaded one at the same moment.',
          exitCode: exitCodes.failed,
        },
      ),
      plan,
      before,
      after,
    );
  return { before, after, flagBits: plan.flagBits };
}

function openAsPlanned(
  role: 'kernel' | 'initrd',
  planned: { readonly path: string; readonly size: number },
  opened: number[],
): number {
  const fd = openForReading(role, planned.path);
  opened.push(fd);
  const size = sizeOf(fd);
  if (size !== planned.size)
    throw new KdumpError(
      'file-changed',
      `${role} ${planned.path}: has ${size} bytes now, ${planned.size} when it was checked`,
      {
        fix: 'Something is writing it. Try again when it is done.',
        facts: { path: planned.path, size, planned: planned.size },
        exitCode: exitCodes.failed,
      },
    );
  return fd;
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

/** The same error, with what is loaded now: the kernel drops the old crash image before it looks at the new one. */
function withOutcome(
  error: KdumpError,
  plan: Plan,
  before: boolean | null,
  after: boolean | null,
): KdumpError {
  const dropped = before === true && after === false && plan.action === 'load';
  const outcome = `${describeLoaded(plan.type, after)}${dropped ? ' (the one that was is gone: the kernel drops it before it looks at the new one)' : ''}`;
  return new KdumpError(error.code, `${error.message}; ${outcome}`, {
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    facts: { ...error.facts, loadedBefore: before, loadedAfter: after },
    exitCode: error.exitCode,
    cause: error,
  });
}
