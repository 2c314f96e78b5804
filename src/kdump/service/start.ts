import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { armCrashKernel, disarm } from '../../kexec/arm.ts';
import { withoutParameters } from '../../kexec/command-line.ts';
import { forgetLastGood } from '../../kexec/last-good.ts';
import { planLoad, planUnload } from '../../kexec/plan.ts';
import { restated } from '../../kexec/restate.ts';
import { KdumpError } from '../../lib/errors.ts';
import { fileDigest } from '../../system/file-digest.ts';
import { testParameter } from '../capture/test-handshake.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { loadWish } from '../config/kexec-args.ts';
import { type Desired, type DesiredOptions, differences, settleDesired } from './desired.ts';
import { type CaptureImage, locked, type ServiceDoors } from './doors.ts';
import { whyNotFeasible } from './feasible.ts';
import { type ArmedRecord, readState, type ServiceState, updateState } from './state.ts';

export type StartOptions = DesiredOptions & {
  /** Load even when what is armed is what is to be: memory or CPUs have come or gone. */
  readonly again?: boolean;
};

export type Started = {
  readonly outcome: 'armed' | 'already-armed';
  /** What was different from what is to be; why something had to be done. */
  readonly why: readonly string[];
  readonly armed: ArmedRecord;
  readonly imageReused: boolean;
  readonly warnings: readonly string[];
};

/**
 * Arms the machine with what the settings say, and does nothing when it is armed with that. What is loaded stays
 * loaded until the new one takes its place; when a machine that is not armed cannot be armed with what it should be, it
 * is with what it was armed with last.
 * @throws KdumpError `kdump-unsupported`, `no-crashkernel`, `locked`, and what settling and loading throw
 */
export function start(
  settings: EffectiveSettings,
  doors: ServiceDoors,
  { again = false, ...options }: StartOptions = {},
): Started {
  return locked(doors, () => {
    const machine = doors.kexec.readMachine();
    const obstacle = whyNotFeasible(machine);
    if (obstacle !== null) throw obstacle;
    const { armed } = remembered(doors);
    let desired: Desired;
    try {
      desired = settleDesired(settings, doors, options);
    } catch (error) {
      throw machine.loaded.crash === true ? stillArmed(error) : armedWithLast(error, armed, doors);
    }
    const { image } = desired;
    const why = differences(armed, desired, machine);
    if (why.length === 0 && !again) {
      // Files may have changed without a consequence: a comment in the settings.
      const current: ArmedRecord = { ...armed!, inputs: image.inputs, saves: desired.saves };
      const warnings = isDeepStrictEqual(current, armed) ? [] : remember(current, doors);
      return {
        outcome: 'already-armed',
        why,
        armed: current,
        imageReused: image.reused,
        warnings: [...image.warnings, ...warnings],
      };
    }
    const made = load(desired, armed, doors);
    return {
      outcome: 'armed',
      why,
      armed: made.armed,
      imageReused: image.reused,
      warnings: [...image.warnings, ...made.warnings],
    };
  });
}

/**
 * Arms a machine that has just come up with what it was armed with last, without building anything.
 * @returns null when there is nothing to arm it with yet, or it is armed already
 * @throws KdumpError `kdump-unsupported`, `no-crashkernel`, `locked`, and what loading throws
 */
export function startEarly(doors: ServiceDoors): ArmedRecord | null {
  return locked(doors, () => {
    const machine = doors.kexec.readMachine();
    const obstacle = whyNotFeasible(machine);
    if (obstacle !== null) throw obstacle;
    const { armed } = remembered(doors);
    return machine.loaded.crash === true || armed === null ? null : loadAgain(armed, doors);
  });
}

/**
 * Sees to it that a machine whose settings are wrong is armed all the same, with what it was armed with last.
 * @returns the error, with what came of it
 */
export function armDespite(error: unknown, doors: ServiceDoors): unknown {
  return locked(doors, () => {
    const machine = doors.kexec.readMachine();
    if (machine.loaded.crash === true) return stillArmed(error);
    if (whyNotFeasible(machine) !== null) return error;
    return armedWithLast(error, remembered(doors).armed, doors);
  });
}

/**
 * Unloads the crash kernel on purpose: it does not come back at the next boot, unless kdumpctl start is run.
 * @throws KdumpError `kdump-unsupported`, `locked`, and what unloading throws
 */
export function stop(doors: ServiceDoors): {
  readonly wasArmed: boolean;
  readonly warnings: readonly string[];
} {
  return locked(doors, () => {
    const machine = doors.kexec.readMachine();
    const wasArmed = machine.loaded.crash;
    if (wasArmed === null) throw whyNotFeasible(machine);
    let warnings: readonly string[] = [];
    if (wasArmed) warnings = disarm(planUnload('crash', machine), doors.lastGood, doors.kexec).warnings;
    else forgetLastGood(doors.lastGood);
    if (remembered(doors).armed !== null) updateState(doors.directory, { armed: null });
    return { wasArmed, warnings };
  });
}

/** Builds the image anew, and loads nothing. @throws as settleDesired */
export function rebuild(settings: EffectiveSettings, doors: ServiceDoors): CaptureImage {
  return locked(doors, () => settleDesired(settings, doors, { rebuild: 'always' }).image);
}

/** A record that cannot be read counts as none: what is armed is loaded over. */
function remembered({ directory }: ServiceDoors): Pick<ServiceState, 'armed'> {
  try {
    return readState(directory);
  } catch (error) {
    if (error instanceof KdumpError) return { armed: null };
    throw error;
  }
}

function load(
  { kernel, image, commandLine, kexecArgs, setup, saves }: Desired,
  before: ArmedRecord | null,
  doors: ServiceDoors,
): { readonly armed: ArmedRecord; readonly warnings: readonly string[] } {
  const wish = loadWish(kexecArgs, commandLine);
  const facts = doors.readFacts(kernel.path, image.path, wish.request);
  try {
    const plan = planLoad(wish, facts);
    const { warnings } = armCrashKernel(plan, wish, facts, {
      directory: doors.lastGood,
      readFacts: doors.readFacts,
      doors: doors.kexec,
    });
    const at = doors.now().toISOString();
    const armed: ArmedRecord = {
      at,
      bootId: facts.machine.bootId,
      setup,
      since: before?.setup === setup ? before.since : at,
      kernel,
      image: { path: image.path, hash: image.hash, release: image.release, bytes: image.bytes },
      kexecArgs,
      commandLine,
      inputs: image.inputs,
      saves,
    };
    return { armed, warnings: [...plan.warnings, ...warnings, ...remember(armed, doors)] };
  } finally {
    facts.kernel.close();
    facts.initrd?.close();
  }
}

/** Writes down what is armed. @returns a warning when that is not possible, as on a full disk: it is armed all the same */
function remember(armed: ArmedRecord, { directory }: ServiceDoors): string[] {
  try {
    updateState(directory, { armed });
    return [];
  } catch (error) {
    return [`the machine is armed, but that could not be written down: ${(error as Error).message}`];
  }
}

/** Makes the load of an earlier boot again. @returns null when its files are not what they were */
function loadAgain(armed: ArmedRecord, doors: ServiceDoors): ArmedRecord | null {
  const { kernel, image, inputs } = armed;
  const kernelFile = join(doors.root, kernel.path);
  const isThere = existsSync(kernelFile) && existsSync(join(doors.root, image.path));
  if (!isThere || fileDigest(kernelFile) !== kernel.sha256) return null;
  // A test of an earlier boot is over.
  const commandLine = withoutParameters(armed.commandLine, [testParameter]);
  const again: Desired = {
    ...armed,
    commandLine,
    image: { ...image, inputs, reused: true, unpackedBytes: null, items: [], warnings: [] },
  };
  return load(again, armed, doors).armed;
}

/** The error of a start that failed before anything was touched. */
function stillArmed(error: unknown): unknown {
  if (!(error instanceof KdumpError)) return error;
  return restated(error, `${error.message}; the machine stays armed as it was`, {
    ...error.facts,
    armed: true,
  });
}

/** The error of a start that failed, with what came of arming the machine as it was armed last. */
function armedWithLast(error: unknown, armed: ArmedRecord | null, doors: ServiceDoors): unknown {
  if (!(error instanceof KdumpError) || armed === null) return error;
  try {
    if (loadAgain(armed, doors) === null) return error;
  } catch (second) {
    const why = second instanceof Error ? second.message : String(second);
    return restated(error, `${error.message}; and what was armed last could not be loaded: ${why}`, {
      ...error.facts,
      armed: false,
    });
  }
  return restated(
    error,
    `${error.message}; meanwhile the machine is armed with ${armed.image.path}, as it was at ${armed.at}`,
    { ...error.facts, armed: true, image: armed.image.path },
  );
}
