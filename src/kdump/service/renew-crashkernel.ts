import type { EffectiveSettings } from '../config/effective.ts';
import { kernelFileOf, releaseOf, usesVariable } from './boot-loader/boot-entries.ts';
import { crashkernelsIn, hasCrashkernel } from './boot-loader/edits.ts';
import { type BootLoaderFacts, type BootLoaderPlan, planCrashkernel } from './boot-loader/plan.ts';
import { planRenewal } from './boot-loader/renew.ts';
import { tableCrashkernel } from './crashkernel.ts';
import { readState, updateState } from './state.ts';

export type RenewalDoors = {
  readonly root: string;
  /** Where the service keeps what it remembers. */
  readonly directory: string;
  /** Whether the service arms the machine at boot. */
  readonly isEnabled: boolean;
  readBootLoader(): BootLoaderFacts;
  apply(plan: BootLoaderPlan): void;
};

/** What an update of the package has changed: null when it changed nothing. */
export type Renewal = { readonly before: string; readonly after: string; readonly plan: BootLoaderPlan };

/**
 * After an update of the package: where crashkernel= is exactly the default that the package had before, it becomes the
 * one that it has now (auto_reset_crashkernel). The default is remembered for the update after this one, once it counts.
 * @throws KdumpError `unsupported-arch`, `boot-loader`, and what applying throws
 */
export function renewCrashkernel(settings: EffectiveSettings, doors: RenewalDoors): Renewal | null {
  const after = tableCrashkernel(doors.root);
  const before = readState(doors.directory).defaultCrashkernel;
  if (before === after) return null;
  if (before !== null && !mayChange(settings, doors)) return null;
  const plan = before === null ? null : planRenewal(before, after, doors.readBootLoader());
  if (plan !== null) doors.apply(plan);
  updateState(doors.directory, { defaultCrashkernel: after });
  return plan === null ? null : { before: before!, after, plan };
}

const mayChange = (
  { autoResetCrashkernel, enabled }: EffectiveSettings,
  { isEnabled }: RenewalDoors,
): boolean => autoResetCrashkernel && enabled && isEnabled;

/**
 * After a kernel was installed: a boot entry of it that has no crashkernel= gets the one that this machine runs with, or
 * the default, so that the machine is armed with the new kernel as well.
 * @returns null when there is nothing to do
 * @throws KdumpError `unsupported-arch`, `boot-loader`, and what applying throws
 */
export function equipNewKernel(
  release: string,
  settings: EffectiveSettings,
  doors: RenewalDoors,
): BootLoaderPlan | null {
  const facts = doors.readBootLoader();
  const kernels = facts.entries
    .filter(({ text }) => releaseOf(text) === release || kernelFileOf(text)?.endsWith(`-${release}`))
    .filter(({ text }) => !hasCrashkernel(text) && !usesVariable(text))
    .flatMap(({ text }) => kernelFileOf(text) ?? []);
  if (kernels.length === 0 || facts.ostree || !mayChange(settings, doors)) return null;
  const running = crashkernelsIn(facts.running);
  const value = running.length === 1 ? running[0]! : tableCrashkernel(doors.root);
  const plan = planCrashkernel(value, { path: kernels[0]! }, facts);
  doors.apply(plan);
  return plan;
}
