import { mkdirSync, mkdtempSync, openSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readSettings } from '../../../src/kdump/config/settings.ts';
import type { CaptureImage, FoundDump, ServiceDoors } from '../../../src/kdump/service/doors.ts';
import type { Doors } from '../../../src/kexec/apply.ts';
import type { MachineFacts } from '../../../src/kexec/machine.ts';
import type { CallResult } from '../../../src/system/kexec.ts';
import { factsWith, initrdFile, kernelFile, machineOf } from '../../kexec/fixtures.ts';
import { syntheticHead, syntheticSize } from '../../kexec/synthetic-kernel.ts';

export const release = '6.1.0-56-cloud-amd64';
export const settings = readSettings('/nowhere').settings;

/** A file below a directory, with the directories that lead to it. */
export function put(root: string, path: string, content: string | Uint8Array = ''): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

/**
 * A machine with a kernel that can be armed: what it is asked to load, in order. Like Linux it drops the old image before
 * it looks at a new one that it then refuses.
 */
export class FakeService implements ServiceDoors {
  readonly root = mkdtempSync(join(tmpdir(), 'kdump-service-'));
  readonly directory = join(this.root, 'var/lib/kdump');
  readonly lastGood = join(this.directory, 'armed');
  /** What the image is made of; another content makes another image. */
  content = 'one';
  bootId = 'boot-1';
  armed = false;
  unsupported = false;
  crashSize: number | undefined;
  dumps: FoundDump[] = [];
  changed: string[] = [];
  raw: Record<string, string> = {};
  reported: string[] = [];
  failure: unknown;
  answers: CallResult[] = [];
  readonly loads: { commandLine: string; image: string }[] = [];
  readonly builds: { release: string; rebuild: string }[] = [];
  #image = '';
  #time = Date.parse('2026-01-01T00:00:00Z');
  lockedNow = false;

  constructor() {
    put(this.root, `boot/vmlinuz-${release}`, syntheticHead());
    truncateSync(join(this.root, `boot/vmlinuz-${release}`), syntheticSize);
    put(
      this.root,
      'proc/cmdline',
      'BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro console=ttyS0 crashkernel=192M quiet\n',
    );
    put(this.root, 'proc/sys/kernel/osrelease', `${release}\n`);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  readonly kexec: Doors = {
    kexecFileLoad: (_kernel, _initrd, commandLine, flags) => this.#answer(commandLine, (flags & 1) !== 0),
    kexecLoad: () => this.#answer('', true),
    readMachine: () => this.#machine(),
  };

  #machine(): MachineFacts {
    const machine = machineOf('vm-512m');
    const crash = { ...machine.crash, size: this.crashSize ?? machine.crash.size };
    const loaded = { ...machine.loaded, crash: this.unsupported ? null : this.armed };
    return { ...machine, kernelRelease: release, bootId: this.bootId, crash, loaded };
  }

  #answer(commandLine: string, unload: boolean): CallResult {
    if (!this.lockedNow) throw new Error('a change without the lock');
    const answer = this.answers.shift() ?? { ok: true };
    if (!unload) this.loads.push({ commandLine, image: this.#image });
    this.armed = answer.ok ? !unload : false;
    return answer;
  }

  readFacts = (kernel: string, initrd: string | null) => {
    const real = (path: string) => (path.startsWith(this.root) ? path : join(this.root, path));
    this.#image = initrd!;
    const image = real(initrd!);
    return factsWith({
      machine: this.#machine(),
      kernel: { ...kernelFile(), path: real(kernel), openFile: () => openSync(real(kernel), 'r') },
      initrd: { ...initrdFile(statSync(image).size, image), openFile: () => openSync(image, 'r') },
    });
  };

  prepareImage(
    _: unknown,
    options: { readonly release: string; readonly rebuild: 'when-changed' | 'always' | 'never' },
  ): CaptureImage {
    this.builds.push(options);
    if (this.failure !== undefined) throw this.failure;
    const path = `/var/lib/kdump/images/${this.content}.img`;
    put(this.root, path, this.content);
    const inputs = [{ path: '/etc/kdump.conf', digest: this.content }];
    const items = [{ path: '/init', bytes: 1 << 20, storedIn: 'initramfs' }];
    return {
      path,
      hash: this.content,
      release: options.release,
      reused: false,
      inputs,
      bytes: this.content.length,
      unpackedBytes: null,
      items,
      warnings: [],
    };
  }

  changedInputs = () => this.changed;
  findDumps: ServiceDoors['findDumps'] = () => this.dumps;
  recoverRaw = (device: string) => this.raw[device] ?? null;
  readonly labelled: string[] = [];
  relabel = (directories: readonly string[]): void => void this.labelled.push(...directories);
  addReport = (directory: string) => void this.reported.push(directory);
  now = () => {
    this.#time += 1000;
    return new Date(this.#time);
  };
  lock() {
    if (this.lockedNow) throw new Error('locked twice');
    this.lockedNow = true;
    return {
      release: () => {
        this.lockedNow = false;
      },
    };
  }
}

export const refused: CallResult = { ok: false, errno: constants.errno.EADDRNOTAVAIL };
