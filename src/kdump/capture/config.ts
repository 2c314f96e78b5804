import type { Notification, Space } from '../config/types.ts';
import type { NetworkPlan } from '../network/network-plan.ts';
import type { FailureAction, FinalAction } from './actions.ts';
import { paths } from './paths.ts';

export { type FailureAction, type FinalAction, failureActions, finalActions } from './actions.ts';
export { checkCaptureConfig, parseCaptureConfig } from './config-check.ts';

/**
 * Where a dump goes, as the capture kernel sees it: a file system that the capture mounts or that somebody else has
 * mounted before it begins, a bare device, or another machine.
 */
export type CaptureTarget = (
  | FileSystemTarget
  | MountedTarget
  | { readonly kind: 'raw' /** /dev/… or PARTUUID=… */; readonly device: string }
  | NfsTarget
  | SshTarget
  | VirtiofsTarget
) & {
  /** Directory below which dumps are kept there, absolute; the settings' path when absent. */
  readonly path?: string;
};

export type FileSystemTarget = {
  readonly kind: 'filesystem';
  /** /dev/…, UUID=… or LABEL=… */
  readonly device: string;
  readonly fstype: string;
  /** Words of fstab's fourth column, comma-separated; may be empty. */
  readonly mountOptions: string;
};

export type MountedTarget = {
  readonly kind: 'mounted';
  /** Directory on which it is mounted, absolute. The capture mounts nothing and unmounts nothing. */
  readonly mountPoint: string;
};

export type NfsTarget = {
  readonly kind: 'nfs';
  /** A name that /etc/hosts of the image has, or an address; an IPv6 one in brackets. */
  readonly server: string;
  readonly export: string;
  readonly mountOptions: string;
};

export type SshTarget = { readonly kind: 'ssh'; readonly user: string; readonly host: string };
export type VirtiofsTarget = { readonly kind: 'virtiofs'; readonly tag: string };

/** What the capture image is told at build time: the one file of settings in it. */
export type CaptureConfig = {
  /** In the order in which they are tried. */
  readonly targets: readonly [CaptureTarget, ...CaptureTarget[]];
  /** Directory on a target below which dumps are kept, absolute. */
  readonly path: string;
  /** First part of a dump directory's name: a host name or an address. */
  readonly host: string;
  /** `makedumpfile OPTION…`, `cp` or `scp`, in words; source and output are added. */
  readonly coreCollector: readonly string[];
  /** How long to wait for a device to appear, in seconds. */
  readonly deviceTimeout: number;
  /** Programs in the image, by their absolute paths, in the order in which they run. */
  readonly hooks: {
    readonly pre: readonly string[];
    readonly post: readonly string[];
    readonly emergency: readonly string[];
  };
  readonly failureAction: FailureAction;
  readonly finalAction: FinalAction;
  /** Where the failure action dump_to_rootfs writes; null when that is not asked for. */
  readonly rootfs: CaptureTarget | null;
  /** Whether the report is made, before the dump. */
  readonly report: boolean;
  /** The machine's own file system that gets the account, when a target is not one that it shows; null: none does. */
  readonly home: CaptureTarget | null;
  /** Space that must be left on a target by the dump. */
  readonly minFree: Space | null;
  /** Bound on the whole capture, and on a target that takes no byte; seconds. */
  readonly captureSeconds: number | null;
  readonly stallSeconds: number | null;
  readonly retention: Retention;
  /** Those for the capture; a program is one in the image. */
  readonly notifications: readonly Notification[];
  /** What to bring up before a remote target is reached; null when every target is local. */
  readonly network: NetworkPlan | null;
  /** Files in the image; null when no target needs them. */
  readonly ssh: { readonly key: string; readonly knownHosts: string } | null;
  /** fence_kdump_send of the image, with its arguments and the nodes to tell. */
  readonly fence: {
    readonly program: string;
    readonly args: readonly string[];
    readonly nodes: readonly string[];
  } | null;
};

/** Which dumps are kept; null: no bound. */
export type Retention = {
  readonly count: number | null;
  readonly bytes: number | null;
  readonly freePercent: number | null;
  readonly ageSeconds: number | null;
};

export const captureDefaults = {
  path: '/var/crash',
  mountOptions: '',
  coreCollector: 'makedumpfile -l --message-level 7 -d 31',
  finalAction: 'reboot',
  report: true,
  deviceTimeout: 30,
} as const;

/** Settings of which only what differs from the defaults is said. */
export function captureConfig(
  given: Pick<CaptureConfig, 'targets' | 'host'> & Partial<CaptureConfig>,
): CaptureConfig {
  return {
    path: captureDefaults.path,
    coreCollector: captureDefaults.coreCollector.split(' '),
    deviceTimeout: captureDefaults.deviceTimeout,
    hooks: { pre: [], post: [], emergency: [] },
    failureAction: 'reboot',
    finalAction: captureDefaults.finalAction,
    rootfs: null,
    report: captureDefaults.report,
    home: null,
    minFree: null,
    captureSeconds: null,
    stallSeconds: null,
    retention: { count: null, bytes: null, freePercent: null, ageSeconds: null },
    notifications: [],
    network: null,
    ssh: null,
    fence: null,
    ...given,
  };
}

/** Somebody else mounts the target, and unmounts it. */
export const isMountedTarget = (
  target: CaptureTarget,
): target is MountedTarget & { readonly path?: string } => target.kind === 'mounted';

/** The target as a reader knows it. */
export function targetName(target: CaptureTarget): string {
  switch (target.kind) {
    case 'filesystem':
    case 'raw':
      return target.device;
    case 'mounted':
      return target.mountPoint;
    case 'nfs':
      return `${target.server}:${target.export}`;
    case 'ssh':
      return `${target.user}@${target.host}`;
    case 'virtiofs':
      return target.tag;
  }
}

/** Directory below which a target that is a file system is found while the capture uses it. */
export const mountPointOf = (target: CaptureTarget): string =>
  isMountedTarget(target) ? target.mountPoint : paths.target;
