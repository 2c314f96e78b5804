import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { appendParameters, splitWords, withoutParameters } from '../../kexec/command-line.ts';
import { KdumpError } from '../../lib/errors.ts';
import { readCommandLine, readText } from '../../system/proc.ts';
import type { CommandLineParts, EffectiveSettings } from '../config/effective.ts';

/** What the machine has to say about the capture kernel's command line. */
export type CommandLineFacts = {
  /** The running kernel's. */
  readonly running: string | null;
  /** Of the CPU that booted: in a capture kernel that another CPU enters, starting it would reset the machine. */
  readonly bootCpuApicid: number | null;
  /** Drivers of watchdogs that run. */
  readonly watchdogs: readonly string[];
  /** On these irqpoll keeps the capture kernel from booting. */
  readonly graviton: boolean;
};

/** Reads it from /proc and /sys below `root`. */
export function readCommandLineFacts(root: string): CommandLineFacts {
  const vendor = readText(root, 'sys/class/dmi/id/sys_vendor')?.trim();
  const arch = readText(root, 'proc/sys/kernel/arch')?.trim() ?? process.arch;
  return {
    running: readCommandLine(root),
    bootCpuApicid: bootCpuApicid(readText(root, 'proc/cpuinfo') ?? ''),
    watchdogs: activeWatchdogs(root),
    graviton: vendor === 'Amazon EC2' && /^(aarch64|arm64)$/.test(arch),
  };
}

function bootCpuApicid(cpuinfo: string): number | null {
  const first = cpuinfo.split('\n\n').find((block) => /^processor\s*: 0$/m.test(block)) ?? '';
  const id = /^initial apicid\s*: (\d+)$/m.exec(first)?.[1];
  return id === undefined ? null : Number(id);
}

function activeWatchdogs(root: string): string[] {
  const directory = join(root, 'sys/class/watchdog');
  let names: string[];
  try {
    names = readdirSync(directory).sort();
  } catch {
    return [];
  }
  const drivers = names
    .filter((name) => readText(directory, join(name, 'state'))?.trim() === 'active')
    .flatMap((name) => driverOf(join(directory, name)));
  return [...new Set(drivers)];
}

function driverOf(watchdog: string): string[] {
  try {
    // Parameters are those of the module; a driver may have another name, with spaces in it.
    const driver = join(watchdog, 'device/driver');
    const module = join(driver, 'module');
    const name = basename(readlinkSync(existsSync(module) ? module : driver));
    return /^\w+$/.test(name) ? [name] : [];
  } catch {
    // A watchdog without a device, such as softdog: nothing fires before the capture kernel takes over.
    return [];
  }
}

/** Parameters that another builder's initramfs needs to find its root; ours has none. */
const rootParameters = [
  'root',
  'rd.lvm.lv',
  'rd.luks.uuid',
  'rd.dm.uuid',
  'rd.md.uuid',
  'netroot',
  'rd.iscsi.initiator',
];

/**
 * The capture kernel's command line. Ours begins with the running kernel's, since its consoles and the quirks of its
 * hardware hold for the next one, too.
 * @param builder who makes the image: ours unpacks into a ramfs, which may take more than half of the memory
 * @throws KdumpError `no-command-line`
 */
export function captureCommandLine(
  parts: CommandLineParts,
  builder: EffectiveSettings['builder'],
  facts: CommandLineFacts,
): string {
  if (parts.whole !== null) return parts.whole;
  const base = parts.base ?? facts.running;
  if (base === null)
    throw new KdumpError('no-command-line', '/proc/cmdline cannot be read', {
      fix: 'Mount /proc, or write the whole command line to KDUMP_COMMANDLINE in /etc/default/kdump-tools.',
    });
  const own = builder === 'own';
  const remove = own ? parts.remove : parts.remove.filter((name) => !rootParameters.includes(name));
  const kept = withoutParameters(base, ['BOOT_IMAGE', 'initrd', ...(own ? ofOtherRoots : []), ...remove]);
  let append = parts.append;
  if (own) append = withoutParameters(append, ['initramfs_options']);
  if (facts.graviton) append = withoutParameters(append, ['irqpoll']);
  const more = [
    ...(own ? ['rootfstype=ramfs'] : ['rd.systemd.gpt_auto=no']),
    ...(facts.bootCpuApicid === null ? [] : [`disable_cpu_apicid=${facts.bootCpuApicid}`]),
    ...facts.watchdogs.flatMap((driver) => [
      `${driver}.pretimeout=0`,
      ...(driver === 'hpwdt' ? ['hpwdt.kdumptimeout=0'] : []),
    ]),
  ];
  // Who names a parameter has the last word.
  const given = splitWords(append).map(nameOf);
  const added = more.filter((word) => !given.includes(nameOf(word)));
  return appendParameters(kept, [append, ...added].filter((part) => part !== '').join(' '));
}

const ofOtherRoots = ['rootfstype', 'rootflags', 'rdinit', 'resume'];
const nameOf = (word: string): string => word.split('=', 1)[0]!;
