// A guest that runs a script and brings its results home, without a crash.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Console } from './console.ts';
import { type DiskFiles, makeDisk, readDisk } from './disk.ts';
import { guestImage } from './images.ts';
import type { LabKernel } from './kernels.ts';
import { startMachine } from './qemu.ts';

export type GuestOptions = {
  kernel: LabKernel;
  /**
   * What the guest does, as a shell script: `finish WORDS` ends it, with "finished" or "failed: …"; what it puts into
   * /disk/results comes back. `say` and `node` are there.
   */
  script: string;
  files?: DiskFiles;
  /** MiB. */
  memory?: number;
  diskSize?: number;
  cpus?: number;
  cpu?: string;
  /** More words for the kernel's command line. */
  append?: string;
  /** Seconds for everything. */
  deadline?: number;
};

export type GuestResult = {
  console: Console;
  /** Copy of /disk/results on the host. */
  results: string;
  /** Removes the copy. */
  remove(): void;
};

const ending = `
finish() {
  say "$*"
  sync
  umount /disk || mount -o remount,ro /disk
  poweroff -f
  sleep 60
}
mkdir -p /tmp /disk/results
`;

/** Runs a script in a guest. @throws KdumpError with the console's tail when it does not finish. */
export async function runGuest(options: GuestOptions): Promise<GuestResult> {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-guest-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const deadline = options.deadline ?? 240;
  try {
    const disk = join(directory, 'disk.img');
    await makeDisk(disk, options.diskSize ?? 256, {
      'lab/boot.sh': { text: ending + options.script },
      ...options.files,
    });
    const machine = await startMachine({
      kernel: options.kernel.vmlinuz,
      initrd: await guestImage(options.kernel),
      append: ['console=ttyS0 panic=-1', options.append ?? ''].join(' ').trim(),
      memory: options.memory ?? 512,
      disks: [disk],
      deadline,
      ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
      ...(options.cpu === undefined ? {} : { cpu: options.cpu }),
    });
    try {
      const line = await machine.console.waitFor(/\blab: (finished|failed)/, deadline);
      if (!line.text.includes('finished')) throw machine.console.error(line.text);
      await machine.finished;
    } finally {
      await machine.stop();
    }
    const results = join(directory, 'results');
    await readDisk(disk, '/results', results);
    rmSync(disk);
    return { console: machine.console, results, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
