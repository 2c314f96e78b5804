import { KdumpError } from '../lib/errors.ts';
import { type Applied, applyPlan, type Doors, machineDoors } from './apply.ts';
import { forgetLastGood, keepLastGood, type LastGood, locateKept, readLastGood } from './last-good.ts';
import { type LoadFacts, type LoadPlan, type LoadWish, planLoad, type UnloadPlan } from './plan.ts';
import type { LoadRequest } from './request.ts';
import { restated } from './restate.ts';

/** Reads what a load needs; for a load that is made again, of the files that were kept. */
export type ReadFacts = (kernel: string, initrd: string | null, request: LoadRequest) => LoadFacts;

export type ArmOptions = {
  /** Where the last good load is kept. */
  readonly directory: string;
  readonly readFacts: ReadFacts;
  readonly doors?: Doors;
};

/** What a load led to; warnings are about keeping it, and never make a load fail. */
export type Armed = { readonly applied: Applied; readonly warnings: readonly string[] };

/**
 * Loads a crash kernel and keeps the load. When the load fails and the image that was loaded before is gone with it,
 * the last good load is made again.
 * @throws KdumpError as applyPlan; `load-failed` then says what is loaded now, and its facts have `rearmed`.
 */
export function armCrashKernel(plan: LoadPlan, wish: LoadWish, facts: LoadFacts, options: ArmOptions): Armed {
  const doors = options.doors ?? machineDoors;
  let applied: Applied;
  try {
    applied = applyPlan(plan, facts, doors);
  } catch (error) {
    throw error instanceof KdumpError && hasDisarmed(error) ? rearm(error, options, doors) : error;
  }
  return { applied, warnings: keep(plan, wish, facts, applied, options.directory) };
}

/** Unloads the crash kernel on purpose: it is not to come back. */
export function disarm(plan: UnloadPlan, directory: string, doors: Doors = machineDoors): Armed {
  const applied = applyPlan(plan, null, doors);
  return {
    applied,
    warnings: warningOf('the last good load could not be forgotten', () => forgetLastGood(directory)),
  };
}

const hasDisarmed = ({ code, facts }: KdumpError): boolean =>
  code === 'load-failed' && facts.loadedBefore === true && facts.loadedAfter === false;

function keep(
  plan: LoadPlan,
  { request, syscalls }: LoadWish,
  facts: LoadFacts,
  applied: Applied,
  directory: string,
): string[] {
  const { machine, kernel, initrd } = facts;
  return warningOf(
    'the crash kernel is loaded, but could not be kept for the case that a later load fails',
    () =>
      keepLastGood(directory, {
        loaded: new Date().toISOString(),
        kernelRelease: machine.kernelRelease,
        bootId: machine.bootId,
        kernel: {
          path: kernel.path,
          size: kernel.size,
          version: plan.kernel.bzImage?.kernel_version ?? null,
        },
        initrd:
          initrd === null || initrd.content === kernel.uki?.initrd
            ? null
            : { path: initrd.path, size: initrd.size },
        wish: {
          request: { ...request, append: plan.commandLine, reuseCommandLine: false, debug: false },
          syscalls: { ...syscalls, choice: applied.syscall },
        },
        syscall: applied.syscall,
        flagBits: applied.flagBits,
      }),
  );
}

function warningOf(what: string, work: () => unknown): string[] {
  try {
    work();
    return [];
  } catch (error) {
    return [`${what}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** The error of the load that failed, with what came of making the last good one again. */
function rearm(error: KdumpError, { directory, readFacts }: ArmOptions, doors: Doors): KdumpError {
  const failed = error.cause instanceof KdumpError ? error.cause : error;
  const dropped = `${failed.message}; the kernel had dropped the crash kernel that was loaded`;
  let kept: LastGood | null;
  try {
    kept = readLastGood(directory);
    if (kept === null)
      return restated(error, `${error.message}; no earlier load is kept in ${directory}`, {
        ...error.facts,
        rearmed: false,
      });
    makeAgain(kept, directory, readFacts, doors);
  } catch (second) {
    const why = second instanceof Error ? second.message : String(second);
    return restated(error, `${error.message}; the last good load could not be made again: ${why}`, {
      ...error.facts,
      rearmed: false,
    });
  }
  const { kernel, loaded } = kept;
  const version = kernel.version === null ? '' : ` (${kernel.version.split(' ', 1)[0]})`;
  return restated(
    error,
    `${dropped}, so the last good one was loaded again: the machine is armed with ${kernel.path}${version} as it was loaded at ${loaded}`,
    { ...error.facts, loadedAfter: true, rearmed: true, rearmedKernel: kernel.path, rearmedFrom: loaded },
  );
}

function makeAgain(kept: LastGood, directory: string, readFacts: ReadFacts, doors: Doors): void {
  const kernel = locateKept(directory, 'kernel', kept.kernel);
  const initrd = kept.initrd === null ? null : locateKept(directory, 'initrd', kept.initrd);
  const facts = readFacts(kernel, initrd, kept.wish.request);
  try {
    applyPlan(planLoad(kept.wish, facts), facts, doors);
  } finally {
    facts.kernel.close();
    facts.initrd?.close();
  }
}
