// A Debian guest with systemd, on disks of its own: it crashes, reboots, loses its power and goes on.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Console, ConsoleLine } from '../console.ts';
import { type DiskFiles, makeDisk, readDisk } from '../disk.ts';
import { plugMemory, plugProcessor } from '../hotplug.ts';
import { type KernelName, labKernel } from '../kernels.ts';
import { connectNetwork, type NetworkEnd } from '../network.ts';
import { check } from '../process.ts';
import { type Machine, startMachine } from '../qemu.ts';
import type { Qmp } from '../qmp.ts';
import { shareDirectory } from '../shared-directory.ts';
import { bootImage } from './boot-image.ts';
import { debianRoot } from './root.ts';

export type DebianOptions = {
  /** 6.1 unless told. */
  kernel?: KernelName;
  /**
   * What the guest does at every boot, once systemd has started everything: a shell script that is sourced by
   * overlay/usr/lib/lab/start.sh, where its words are: `say`, `finish`, `next_phase` and $phase, `await`, `fill`.
   */
  script: string;
  /** Files on the disk LAB, which is mounted on /disk. */
  files?: DiskFiles;
  /** MiB of the disk LAB. */
  diskSize?: number;
  /** More disks, by their sizes in MiB: empty, /dev/vdc and so on. */
  disks?: readonly number[];
  crashkernel?: string;
  /** More words for the kernel's command line. */
  append?: string;
  /** MiB. */
  memory?: number;
  cpus?: number;
  network?: NetworkEnd;
  /** A directory of the host that the guest can mount: `mount -t virtiofs SHARED directory`. */
  shared?: string;
  /** A hardware watchdog, i6300esb, which resets the machine. */
  watchdog?: boolean;
  /** Room for plugProcessor() and plugMemory(). */
  hotplug?: boolean;
  /** Seconds for everything between two starts of the machine. */
  deadline?: number;
};

export type DebianGuest = {
  /** The machine, and its console, since it was started last. */
  readonly machine: Machine;
  readonly console: Console;
  /** The next line of the guest's script that matches. @throws KdumpError when it gives up instead. */
  says(pattern: RegExp, seconds: number): Promise<ConsoleLine>;
  /** Waits until the script has said "finished" and the machine is off. */
  finished(seconds: number): Promise<void>;
  /** Ends the machine between two instructions; what it had not written to its disks is lost. */
  powerCut(): Promise<void>;
  /** Starts the machine again, on the same disks; those that were pulled are back. */
  powerOn(): Promise<void>;
  /** Takes one of the `disks` away, by its place among them; the guest's kernel is told. */
  pullDisk(index: number): Promise<void>;
  /** Bytes a second that one of the `disks` writes from now on; 0 for as many as it can. */
  slowDisk(index: number, rate: number): Promise<void>;
  /** Puts in one more processor, and a module of memory of so many MiB. */
  plugProcessor(): Promise<void>;
  plugMemory(size: number): Promise<void>;
  /**
   * Copies a directory to the host, when the machine is off.
   * @param disk `root`, `lab`, or the place among the `disks`, if it holds ext4
   * @returns false when there is no such directory
   */
  read(disk: 'root' | 'lab' | number, directory: string, into: string): Promise<boolean>;
  /** Ends the machine if it runs, and removes its disks. */
  remove(): Promise<void>;
};

/** Starts a guest with new disks. The caller removes it in every case. */
export async function startDebian(options: DebianOptions): Promise<DebianGuest> {
  const kernel = await labKernel(options.kernel ?? '6.1');
  const base = await debianRoot();
  const directory = mkdtempSync(join(tmpdir(), 'kdump-debian-'));
  const initrd = join(directory, 'initrd.img');
  const root = join(directory, 'root.img');
  const lab = join(directory, 'lab.img');
  const more = (options.disks ?? []).map((_, index) => join(directory, `disk${index}.img`));

  const start = (): Promise<Machine> =>
    startMachine({
      kernel: kernel.vmlinuz,
      initrd,
      append: commandLine(options),
      memory: options.memory ?? 1024,
      disks: [root, lab],
      deadline: options.deadline ?? 300,
      ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
      hotplug: options.hotplug === true,
      sharedMemory: options.shared !== undefined,
      equip: (qmp) => equip(qmp, more, options),
    });

  let machine: Machine;
  try {
    writeFileSync(initrd, bootImage(kernel));
    await check('cp', ['--sparse=always', '--reflink=auto', base, root], { timeout: 600_000 });
    await makeDisk(lab, options.diskSize ?? 256, {
      'lab/boot.sh': { text: options.script },
      ...options.files,
    });
    await check('e2label', [lab, 'LAB']);
    for (const [index, size] of (options.disks ?? []).entries()) {
      await check('truncate', ['--size', `${size}M`, more[index]!]);
    }
    machine = await start();
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }

  const says = async (pattern: RegExp, seconds: number) => {
    const line = await machine.console.waitFor(new RegExp(`${pattern.source}|\\blab: failed`), seconds);
    if (!pattern.test(line.text)) throw machine.console.error(line.text);
    return line;
  };
  return {
    get machine() {
      return machine;
    },
    get console() {
      return machine.console;
    },
    says,
    finished: async (seconds) => {
      await says(/\blab: finished/, seconds);
      await machine.finished;
    },
    powerCut: () => machine.stop(),
    powerOn: async () => {
      machine = await start();
    },
    pullDisk: async (index) => {
      await machine.qmp.execute('device_del', { id: `disk${index}` });
    },
    slowDisk: async (index, rate) => {
      const limits = { bps: 0, bps_rd: 0, bps_wr: rate, iops: 0, iops_rd: 0, iops_wr: 0 };
      // The part of the card that has the disk.
      const id = `/machine/peripheral/disk${index}/virtio-backend`;
      await machine.qmp.execute('block_set_io_throttle', { id, ...limits });
    },
    plugProcessor: () => plugProcessor(machine.qmp),
    plugMemory: (size) => plugMemory(machine.qmp, size),
    read: (disk, from, into) =>
      readDisk(disk === 'root' ? root : disk === 'lab' ? lab : more[disk]!, from, into),
    remove: async () => {
      await machine.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function commandLine(options: DebianOptions): string {
  return [
    'console=ttyS0 root=/dev/vda rw printk.devkmsg=on panic=-1 systemd.show_status=error',
    `systemd.hostname=${options.network?.role ?? 'guest'}`,
    ...(options.crashkernel === undefined ? [] : [`crashkernel=${options.crashkernel}`]),
    ...(options.append === undefined ? [] : [options.append]),
  ].join(' ');
}

/** Puts in the disks, which can be pulled and slowed, and what else the guest is to have. */
async function equip(
  qmp: Qmp,
  disks: readonly string[],
  { network, shared, watchdog }: Pick<DebianOptions, 'network' | 'shared' | 'watchdog'>,
) {
  for (const [index, filename] of disks.entries()) {
    const id = `disk${index}`;
    await qmp.execute('blockdev-add', {
      driver: 'raw',
      'node-name': id,
      cache: { direct: false, 'no-flush': true },
      file: { driver: 'file', filename },
    });
    await qmp.execute('device_add', { driver: 'virtio-blk-pci', id, drive: id });
  }
  if (network !== undefined) await connectNetwork(qmp, network);
  if (shared !== undefined) await shareDirectory(qmp, shared);
  if (watchdog === true) await qmp.execute('device_add', { driver: 'i6300esb', id: 'watchdog' });
}
