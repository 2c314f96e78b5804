import type { ImageOptions } from './debian.ts';
import type { Settings } from './directives.ts';
import type { Target } from './target.ts';
import type { Notification, Space } from './types.ts';

/** Everything that is set up on a machine, in one plain object: what the verbs, the image and the capture go by. */
export type EffectiveSettings = {
  /** false: the machine is not to be armed (USE_KDUMP=0). */
  readonly enabled: boolean;
  /** In the order in which they are tried; at least one. */
  readonly targets: readonly [Target, ...Target[]];
  /** Directory of dumps: seen from the root of a target, or of this machine where the target is a directory. */
  readonly path: string;
  readonly sshKey: string;
  readonly collector: readonly string[];
  /** Names the machine in a dump directory's name; hostTag null: the capture's own choice. */
  readonly hostTag: 'ip' | 'hostname' | null;
  readonly hooks: {
    readonly pre: string | null;
    readonly post: string | null;
    readonly emergency: string | null;
  };
  readonly extraBins: readonly string[];
  readonly extraModules: readonly string[];
  readonly failureAction: Settings['failure_action'];
  readonly finalAction: Settings['final_action'];
  readonly fence: { readonly nodes: readonly string[]; readonly args: readonly string[] };
  readonly builder: Settings['image_builder'];
  readonly dracutArgs: readonly string[];
  readonly rebuild: 'when-changed' | 'always' | 'never';
  readonly autoResetCrashkernel: boolean;
  readonly kernel: KernelChoice;
  readonly image: ImageOptions & { readonly path: string | null };
  readonly commandLine: CommandLineParts;
  readonly kexecArgs: readonly string[];
  /** Whether the capture tells what happened, before it writes the dump. */
  readonly report: boolean;
  /** null: no bound */
  readonly retention: {
    readonly count: number | null;
    readonly bytes: number | null;
    readonly freePercent: number | null;
    readonly ageSeconds: number | null;
  };
  readonly limits: {
    readonly minFree: Space | null;
    readonly captureSeconds: number | null;
    readonly stallSeconds: number | null;
  };
  readonly notifications: readonly Notification[];
  readonly testNotification: boolean;
  readonly logLevels: { readonly std: number; readonly syslog: number; readonly kmsg: number };
};

export type KernelChoice = {
  /** The file; null: found by the other parts. */
  readonly path: string | null;
  /** null: the running kernel's */
  readonly release: string | null;
  readonly bootDirectory: string | null;
  readonly imageName: string;
  readonly imageExtension: string;
};

/** What the capture kernel's command line is made of. */
export type CommandLineParts = {
  /** The command line, as it stands; the rest does not count then. */
  readonly whole: string | null;
  /** Taken instead of /proc/cmdline. */
  readonly base: string | null;
  /** Names of parameters to take out of it. */
  readonly remove: readonly string[];
  /** Parameters to add, separated by blanks. */
  readonly append: string;
};
