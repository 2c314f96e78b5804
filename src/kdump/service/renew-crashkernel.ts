import type { EffectiveSettings } from '../config/effective.ts';
import type { BootLoaderFacts, BootLoaderPlan } from './boot-loader/plan.ts';
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
  const mayChange = settings.autoResetCrashkernel && settings.enabled && doors.isEnabled;
  if (before !== null && !mayChange) return null;
  const plan = before === null ? null : planRenewal(before, after, doors.readBootLoader());
  if (plan !== null) doors.apply(plan);
  updateState(doors.directory, { defaultCrashkernel: after });
  return plan === null ? null : { before: before!, after, plan };
}
