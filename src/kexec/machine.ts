import { statSync } from 'node:fs';
import { KdumpError } from '../lib/errors.ts';
import { readImaRules, readSecureBoot } from '../system/integrity.ts';
import {
  capabilities,
  hasCapability,
  rangesNamed,
  readCommandLine,
  readFiveLevel,
  readIomem,
  readKernelRelease,
  readKexecState,
  readKexecSysctls,
  readLockdown,
  readMachineName,
  readMemTotal,
  readPossibleCpus,
  readText,
} from '../system/proc.ts';
import type { ImageType } from './uapi.ts';

/** Everything about the running machine that a decision of kexec rests on, as plain JSON. Null: it cannot be known. */
export type MachineFacts = {
  /** As `uname -m` says it. */
  readonly arch: string;
  readonly kernelRelease: string | null;
  /** Random name of this boot. */
  readonly bootId: string | null;
  readonly commandLine: string | null;
  /** Memory that the running kernel manages, in bytes. */
  readonly memTotal: number | null;
  /** How many ranges of System RAM /proc/iomem lists; each needs a program header in the crash kernel's ELF header. */
  readonly ramRanges: number;
  readonly possibleCpus: number | null;
  readonly fiveLevelPaging: boolean | null;
  readonly crash: {
    /** Every "Crash kernel" range, physical addresses, `end` is the last byte. Empty also when addresses are hidden. */
    readonly regions: readonly { readonly start: number; readonly end: number }[];
    /** /proc/iomem shows this reader names without addresses. */
    readonly addressesHidden: boolean;
    readonly size: number | null;
    readonly elfcorehdrSize: number | null;
  };
  readonly loaded: { readonly crash: boolean | null; readonly normal: boolean | null };
  readonly permission: {
    readonly capSysBoot: boolean | null;
    readonly loadDisabled: boolean | null;
    /** Loads still allowed; -1 is no limit. */
    readonly limits: { readonly crash: number | null; readonly normal: number | null };
    readonly lockdown: string | null;
    readonly secureBoot: boolean | null;
    /** What is seen of an IMA policy that appraises kernels; empty when nothing is. */
    readonly imaRules: readonly string[];
  };
};

/**
 * Reads the machine whose /proc and /sys lie below `root`. Missing files are facts, never errors.
 * @throws KdumpError `bad-iomem` when /proc/iomem is there and is not one, `bad-root` when root is no directory.
 */
export function readMachine(root: string): MachineFacts {
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory())
    throw new KdumpError('bad-root', `${root}: no such directory`, { facts: { root } });
  const iomem = readIomem(root);
  const state = readKexecState(root);
  const sysctls = readKexecSysctls(root);
  const ranges = iomem?.ranges ?? [];
  return {
    arch: readMachineName(root),
    kernelRelease: readKernelRelease(root),
    bootId: readText(root, 'proc/sys/kernel/random/boot_id')?.trim() ?? null,
    commandLine: readCommandLine(root),
    memTotal: readMemTotal(root),
    ramRanges: rangesNamed(ranges, 'System RAM').length,
    possibleCpus: readPossibleCpus(root),
    fiveLevelPaging: readFiveLevel(root),
    crash: {
      regions: iomem?.hidden
        ? []
        : rangesNamed(ranges, 'Crash kernel').map(({ start, end }) => ({ start, end })),
      addressesHidden: iomem?.hidden ?? false,
      size: state.crashSize,
      elfcorehdrSize: state.elfcorehdrSize,
    },
    loaded: { crash: state.crashLoaded, normal: state.loaded },
    permission: {
      capSysBoot: hasCapability(root, capabilities.CAP_SYS_BOOT),
      loadDisabled: sysctls.loadDisabled,
      limits: { crash: sysctls.limitPanic, normal: sysctls.limitReboot },
      lockdown: readLockdown(root),
      secureBoot: readSecureBoot(root),
      imaRules: readImaRules(root),
    },
  };
}

export type CrashMemory = {
  readonly start: number | null;
  readonly end: number | null;
  /** Bytes that the crash kernel can be loaded into. */
  readonly size: number;
  readonly source: '/proc/iomem' | 'kexec_crash_size';
};

/**
 * The memory that a crash kernel is loaded into: the highest "Crash kernel" range (a lower one is only there for
 * devices that cannot reach further), or its bare size where addresses are hidden. Null: nothing is reserved.
 */
export function crashMemory(machine: MachineFacts): CrashMemory | null {
  const { regions, size } = machine.crash;
  const highest = regions.toSorted((a, b) => a.start - b.start).at(-1);
  if (highest !== undefined)
    return { ...highest, size: highest.end - highest.start + 1, source: '/proc/iomem' };
  return size === null || size === 0 ? null : { start: null, end: null, size, source: 'kexec_crash_size' };
}

/** Whether lockdown is in force: then kexec_load is forbidden altogether, and file mode wants a good signature. */
export function isLockedDown({ permission }: MachineFacts): boolean {
  return permission.lockdown !== null && permission.lockdown !== 'none';
}

/** What is loaded now, as a sentence for people. */
export function describeLoaded(type: ImageType, loaded: boolean | null): string {
  if (loaded === null) return 'whether anything is loaded cannot be read from /sys/kernel/kexec_*';
  if (type === 'crash')
    return loaded
      ? 'the machine is armed: a crash kernel is loaded'
      : 'the machine is NOT armed: no crash kernel is loaded';
  return loaded ? 'an image for the next kexec reboot is loaded' : 'no image for a kexec reboot is loaded';
}
