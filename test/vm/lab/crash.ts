// The road, as one call: a guest boots, is armed by our kexec, works, crashes, is captured, reboots, looks, powers off.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import { captureCommandLine as shippedCommandLine } from '../../../src/kdump/service/command-line.ts';
import type { Console } from './console.ts';
import { type DiskFiles, makeDisk, readDisk } from './disk.ts';
import { captureImage, fileData, guestImage, kexecProgram, labFile, workloadProgram } from './images.ts';
import { type KernelName, type LabKernel, labKernel } from './kernels.ts';
import { type Machine, startMachine } from './qemu.ts';

export type CrashOptions = {
  kernel: KernelName;
  /** MiB of the machine. */
  memory?: number;
  crashkernel?: string;
  /** How the guest is armed: words for `kexec -p` beside the files and the command line; -s unless told. */
  arm?: string;
  /** Path of the kernel that is loaded to capture with, instead of the guest's own. */
  captureKernel?: string;
  /** What the host does with the machine between its being armed and its crash. */
  whenArmed?: (machine: Machine) => Promise<void>;
  /** Words after `core_collector`. */
  collector?: string;
  /** Have the capture make a report before the dump; most crashes do without, for their time. */
  report?: boolean;
  /** `full` puts every kind of page into memory before the crash. */
  workload?: 'full' | 'none';
  /** Shell commands of the guest, run just before the crash. */
  beforeCrash?: string;
  /** Seconds that they and the booting may take. */
  readyWithin?: number;
  /** More files on the guest's disk, which is mounted on /disk. */
  diskFiles?: DiskFiles;
  /** MiB of the guest's disk. */
  diskSize?: number;
  /** More words for the capture kernel's command line. */
  captureAppend?: string;
  /** Put the dump on a disk of its own, of so many MiB, instead of the guest's disk. */
  targetSize?: number;
  /** What the capture image is told to save to, when it is not the disk that is there. */
  target?: string;
  /** Path of an initramfs to capture with instead of the image that mkdumprd builds. */
  captureImage?: string;
  cpus?: number;
  /** QEMU's name of the processor. */
  cpu?: string;
  /** Seconds for everything. */
  deadline?: number;
};

/** Seconds of the host's clock. A phase that was not seen is undefined. */
export type Timings = {
  /** Start of the machine to the guest's disk being mounted. */
  boot: number | undefined;
  /** kexec -p, with the start of node and the reading of both images. */
  arm: number | undefined;
  /** Making every kind of page. */
  workload: number | undefined;
  /** The crash to the capture kernel's first line. */
  captureKernel: number | undefined;
  /** The capture kernel's first line to the first line of our capture. */
  captureBoot: number | undefined;
  /** Our capture's first line to the reset of the machine. */
  capture: number | undefined;
  /** The reset of the machine to the guest being up again. */
  reboot: number | undefined;
  /** The crash to the guest being up again. */
  outage: number | undefined;
  total: number;
};

export type CrashResult = {
  kernel: LabKernel;
  console: Console;
  timings: Timings;
  /** Copy of the directory of the dump on the host; undefined when the target holds none. */
  dumpDirectory: string | undefined;
  /** Removes the copy. */
  remove(): void;
};

/**
 * Command line of the capture kernel: the one that kdumpctl makes by default, and a console to follow it on.
 */
function captureCommandLine(ownImage: boolean): string {
  const { commandLine } = readSettings('/nowhere').settings;
  return shippedCommandLine({ ...commandLine, base: 'console=ttyS0' }, ownImage ? 'own' : 'dracut', {
    running: null,
    bootCpuApicid: null,
    watchdogs: [],
    graviton: false,
  });
}

/** MiB that the workload's balloon takes; a multiple of what the driver takes at a time. */
const balloonSize = 16;
const pagesPerMiB = 256;
const guestDisk = 1536;

/**
 * Crashes a guest and brings back what was captured.
 * @throws KdumpError with the console's tail when the road ends anywhere but at its end.
 */
export async function crash(options: CrashOptions): Promise<CrashResult> {
  const memory = options.memory ?? 512;
  const crashkernel = options.crashkernel ?? '192M';
  const full = options.workload === 'full';
  const separate = options.targetSize !== undefined;
  const kernel = await labKernel(options.kernel);
  const target = options.target ?? (separate ? '/dev/vdb' : '/dev/vda');
  const initrd = await guestImage(kernel);
  const capture =
    options.captureImage ??
    (await captureImage(kernel, {
      target,
      collector: options.collector ?? 'makedumpfile -l --message-level 7 -d 31',
      report: options.report ?? false,
    }));

  const directory = mkdtempSync(join(tmpdir(), 'kdump-lab-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    const disk = join(directory, 'disk.img');
    const settings = {
      CAPTURE_APPEND: [captureCommandLine(options.captureImage === undefined), options.captureAppend ?? '']
        .join(' ')
        .trim(),
      KEXEC_OPTIONS: options.arm ?? '-s',
      HOST_ACTS: options.whenArmed === undefined ? '' : 'yes',
      WORKLOAD: full ? 'full' : 'none',
      BALLOON_PAGES: full ? String(balloonSize * pagesPerMiB) : '',
      BEFORE_CRASH: options.beforeCrash ?? '',
    };
    await makeDisk(disk, options.diskSize ?? guestDisk, {
      'boot/vmlinuz': options.captureKernel ?? kernel.vmlinuz,
      'boot/capture.img': capture,
      ...inDirectory('kdump', await kexecProgram()),
      'lab/boot.sh': labFile('guest/boot.sh'),
      'lab/settings.sh': { text: shellSettings(settings) },
      ...(full ? { ...inDirectory('lab', await workloadProgram()), 'lab/data': { bytes: fileData() } } : {}),
      ...options.diskFiles,
    });
    const disks = [disk];
    if (separate) {
      disks.push(join(directory, 'target.img'));
      await makeDisk(disks[1]!, options.targetSize!, {});
    }

    const machine = await startMachine({
      kernel: kernel.vmlinuz,
      initrd,
      append: `console=ttyS0 crashkernel=${crashkernel} panic=-1`,
      memory,
      disks,
      balloon: full,
      deadline: options.deadline ?? 300,
      ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
      ...(options.cpu === undefined ? {} : { cpu: options.cpu }),
    });
    const { console } = machine;
    try {
      if (options.whenArmed !== undefined) {
        await guestSays(console, /\blab: host please/, 120);
        await options.whenArmed(machine);
      }
      if (full) {
        await guestSays(console, /\blab: balloon please/, 180);
        await machine.qmp.execute('balloon', { value: (memory - balloonSize) * 2 ** 20 });
      }
      await guestSays(console, /\blab: crashing/, options.readyWithin ?? 120);
      await guestSays(console, /\blab: finished/, options.deadline ?? 300);
      await machine.finished;
    } finally {
      await machine.stop();
    }
    const copied = join(directory, 'crash');
    const found = await readDisk(disks.at(-1)!, '/var/crash', copied);
    rmSync(disk);
    return {
      kernel,
      console,
      timings: timingsOf(console),
      dumpDirectory: found ? newestDirectory(copied) : undefined,
      remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Waits for a line of the guest; a line in which it gives up ends the waiting. */
async function guestSays(console: Console, pattern: RegExp, seconds: number): Promise<void> {
  const line = await console.waitFor(new RegExp(`${pattern.source}|\\blab: failed`), seconds);
  if (!pattern.test(line.text)) throw console.error(line.text);
}

function inDirectory(directory: string, files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, path]) => [`${directory}/${name}`, path]));
}

function shellSettings(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'\n`)
    .join('');
}

/** Dump directories are named by host and date, so the last in order is the newest of one host. */
function newestDirectory(parent: string): string | undefined {
  const last = readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .at(-1);
  return last === undefined ? undefined : join(parent, last);
}

function timingsOf(console: Console): Timings {
  const at = (pattern: RegExp, from = 0) => console.find(pattern, from);
  const kernelStart = /\] Linux version /;
  const booted = at(/\blab: booted/);
  const armed = at(/\blab: armed/);
  const begun = at(/\blab: workload begins/);
  const ready = at(/\blab: workload ready/);
  const crashed = at(/\bsysrq: Trigger a crash/);
  const second = crashed && at(kernelStart, crashed.index);
  const capture = second && at(/\bkdump: /, second.index);
  const reset = capture && at(/\breboot: Restarting system/, capture.index);
  const again = at(/\blab: rebooted/);
  const between = (from: { at: number } | undefined, to: { at: number } | undefined) =>
    from === undefined || to === undefined ? undefined : to.at - from.at;
  return {
    boot: between({ at: 0 }, booted),
    arm: between(at(/\blab: arming/), armed),
    workload: between(begun, ready),
    captureKernel: between(crashed, second),
    captureBoot: between(second, capture),
    capture: between(capture, reset),
    reboot: between(reset, again),
    outage: between(crashed, again),
    total: console.lines.at(-1)?.at ?? 0,
  };
}
