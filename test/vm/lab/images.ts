// The two initramfs images of a crash (the guest's own, and the capture image that our mkdumprd builds) and the
// programs on the guest's disk. Images are kept in the cache by the content they were made from.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { assembleImage, type ImagePlan } from '../../../src/kdump/image/assemble.ts';
import { loadModules, mountNodeTree, mountSystem, nodeCommand } from '../../../src/kdump/image/shell.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { cached, cachePath, contentHash, withLock } from './cache.ts';
import type { LabKernel } from './kernels.ts';
import { check } from './process.ts';

/** The checkout; tests and scripts run from its top. */
export function repository(...parts: string[]): string {
  const root = process.cwd();
  if (!existsSync(join(root, 'test/vm/lab'))) {
    throw new KdumpError('lab-directory', `${root} is not the top of the checkout`, {
      fix: 'run the tests and the demo from the top of the checkout',
    });
  }
  return join(root, ...parts);
}

export function labFile(name: string): string {
  return repository('test/vm/lab', name);
}

/** Modules for the guest's disk and balloon; a kernel may have some of them built in. */
const guestModules = ['virtio_pci', 'virtio_blk', 'virtio_balloon', 'ext4'];

/** What boot.sh uses of busybox, beside what every image of ours has. */
const guestApplets = [
  ...[
    'awk',
    'chmod',
    'cp',
    'dd',
    'df',
    'dmesg',
    'free',
    'grep',
    'head',
    'kill',
    'ls',
    'mkswap',
    'mkfifo',
    'rmdir',
  ],
  ...['sed', 'stat', 'swapoff', 'swapon', 'tail', 'touch', 'uname', 'usleep', 'wc'],
];

const guestInit = `#!/bin/sh
# PID 1 of the lab's guest: what boot.sh on its disk does comes after the disk is there.
# Through the kernel's log: a line written to the console itself may be cut in two by one of the kernel's. And the log
# goes into the dump.
say() {
  echo "lab: $*" >/dev/kmsg
}
node() {
  ${nodeCommand} "$@"
}
log=/run/lab.log
${mountSystem}
echo on >/proc/sys/kernel/printk_devkmsg
${loadModules}
${mountNodeTree}
mkdir -p /disk /lab
left=100
until [ -e /dev/vda ] || [ $left -eq 0 ]; do
  usleep 100000
  left=$((left - 1))
done
mount -t ext4 /dev/vda /disk || say "failed: the disk cannot be mounted"
# A copy: the shell keeps its script open, and the disk is to be unmounted at the end.
cp /disk/lab/boot.sh /lab/boot.sh
. /lab/boot.sh
poweroff -f
`;

/** The initramfs of the production guest. */
export async function guestImage(kernel: LabKernel): Promise<string> {
  const plan: ImagePlan = {
    init: guestInit,
    applets: guestApplets,
    kernelRelease: kernel.release,
    modulesRoot: kernel.modulesRoot,
    modules: guestModules,
    // What kernels are unwrapped with.
    nodeTree: {
      node: process.execPath,
      libraries: ['libzstd.so.1', 'liblzma.so.5', 'liblz4.so.1'],
      koffi: koffiAddon(),
      bundles: [],
    },
  };
  const builder = sourcesOf('src/kdump/image', 'src/formats');
  const key = contentHash([JSON.stringify(plan), process.version, ...builder]);
  return image(`guest-${kernel.release}-${key}.img`, async (incomplete) => {
    writeFileSync(incomplete, Buffer.concat(assembleImage(plan).pieces));
  });
}

export type CaptureImageOptions = {
  /** Block device in the guest. */
  target: string;
  collector: string;
  /** Whether the capture makes a report first. */
  report?: boolean;
};

/** The capture image, built by our own mkdumprd from the bundles in dist/. */
export async function captureImage(kernel: LabKernel, options: CaptureImageOptions): Promise<string> {
  const mkdumprd = await bundle('mkdumprd');
  const args = [
    ...['--target', options.target, '--fstype', 'ext4', '--host', 'guest', '--path', '/var/crash'],
    ...['--core-collector', options.collector, '--final-action', 'reboot'],
    ...['--add-drivers', 'virtio_pci virtio_blk', '--modules-root', kernel.modulesRoot],
    ...(options.report === true ? [] : ['--no-report']),
  ];
  const key = contentHash([
    JSON.stringify([kernel.release, process.version, args]),
    readFileSync(mkdumprd),
    readFileSync(await bundle('capture')),
    readFileSync(await bundle('crash-report')),
  ]);
  return image(`capture-${kernel.release}-${key}.img`, async (incomplete) => {
    await check(process.execPath, [mkdumprd, '-f', ...args, incomplete, kernel.release], {
      timeout: 600_000,
    });
  });
}

/** kexec and what it needs beside it, by the names they have on the guest's disk. */
export async function kexecProgram(): Promise<Record<string, string>> {
  return { 'kexec.mjs': await bundle('kexec'), 'koffi.node': koffiAddon() };
}

/** The guest's workload as one file; it finds koffi.node beside it. */
export async function workloadProgram(): Promise<Record<string, string>> {
  const source = await bundleWorkload();
  const path = cachePath('images', `workload-${contentHash([source])}.mjs`);
  await cached(path, async (incomplete) => writeFileSync(incomplete, source));
  return { 'workload.mjs': path, 'koffi.node': koffiAddon() };
}

/** Text of everything that shapes what a guest's memory holds when it crashes. */
export async function guestSources(): Promise<string[]> {
  return [guestInit, readFileSync(labFile('guest/boot.sh'), 'utf8'), await bundleWorkload()];
}

async function bundleWorkload(): Promise<string> {
  const built = await build({
    entryPoints: [labFile('guest/workload.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: ['koffi'],
    write: false,
    logLevel: 'warning',
  });
  return built.outputFiles[0]!.text;
}

/**
 * 16 MiB for the page cache: pages of text, of noise and of zeros in turn, the same in every run, so that a page of
 * the dump can be recognised.
 */
export function fileData(): Uint8Array {
  const pages = 4096;
  const data = Buffer.alloc(pages * 4096);
  let noise = 0x2545f491;
  for (let page = 0; page < pages; page++) {
    const start = page * 4096;
    if (page % 3 === 0) data.fill(`page ${page} of the lab's file `, start, start + 4096);
    if (page % 3 !== 1) continue;
    for (let offset = start; offset < start + 4096; offset += 4) {
      // xorshift32
      noise ^= noise << 13;
      noise ^= noise >>> 17;
      noise ^= noise << 5;
      data.writeInt32LE(noise | 0, offset);
    }
  }
  return data;
}

/** A built command of ours; built again when its sources are newer, so that the lab never tests yesterday's program. */
export async function bundle(name: string): Promise<string> {
  const path = repository('dist', `${name}.mjs`);
  const isCurrent = () => existsSync(path) && statSync(path).mtimeMs >= newestSource(repository('src'));
  if (!isCurrent()) {
    await withLock(cachePath('build'), async () => {
      if (!isCurrent()) await check(process.execPath, [repository('scripts/build.mjs')]);
    });
  }
  return path;
}

function newestSource(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((newest, entry) => Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);
}

function sourcesOf(...directories: string[]): string[] {
  return directories.flatMap((directory) =>
    readdirSync(repository(directory), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort()
      .map((name) => readFileSync(repository(directory, name), 'utf8')),
  );
}

function koffiAddon(): string {
  const require = createRequire(repository('package.json'));
  const manifest = require.resolve(`@koromix/koffi-${process.platform}-${process.arch}/package.json`);
  return join(dirname(manifest), `${process.platform}_${process.arch}`, 'koffi.node');
}

const keptImages = 12;

/** An image of the cache; the ones that were not used for longest are dropped. */
async function image(name: string, make: (incomplete: string) => Promise<void>): Promise<string> {
  const directory = cachePath('images');
  mkdirSync(directory, { recursive: true });
  const path = await cached(join(directory, name), make);
  const now = new Date();
  utimesSync(path, now, now);
  const images = readdirSync(directory)
    .filter((file) => file.endsWith('.img'))
    .map((file) => ({ file, used: statSync(join(directory, file)).mtimeMs }))
    .sort((a, b) => b.used - a.used);
  for (const { file } of images.slice(keptImages)) rmSync(join(directory, file), { force: true });
  return path;
}
