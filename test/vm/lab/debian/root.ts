// The root file system of the lab's Debian guest: Debian 12 with systemd and what the capture of a crash may meet, made
// once by mmdebstrap from the mirror that the machine's own apt uses.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../../../src/lib/errors.ts';
import { debianMirrors } from '../apt-sources.ts';
import { cached, cachePath, contentHash, withTemporaryDirectory } from '../cache.ts';
import { labFile } from '../images.ts';
import { kernelNames, labKernel } from '../kernels.ts';
import { check } from '../process.ts';

const packages = [
  ...['systemd', 'systemd-sysv', 'udev', 'dbus', 'iproute2', 'kmod'],
  ...['e2fsprogs', 'xfsprogs', 'openssh-client', 'openssh-server', 'nfs-common', 'nfs-kernel-server'],
  // Builders of images. Debian's packages dracut and initramfs-tools exclude each other; dracut's programs are in these.
  ...['busybox-static', 'squashfs-tools', 'cpio', 'zstd', 'dracut-core', 'dracut-network', 'initramfs-tools'],
  // Codecs, and what node needs.
  ...['liblzo2-2', 'libzstd1', 'libdeflate0', 'libsnappy1v5', 'libstdc++6'],
];

/** Path of the image, raw ext4, to be copied and never written to. It holds the lab's ordinary kernels. */
export async function debianRoot(): Promise<string> {
  const kernels = await Promise.all(kernelNames.map(labKernel));
  const overlay = labFile('debian/overlay');
  const build = labFile('debian/build.sh');
  const key = contentHash([
    JSON.stringify([packages, process.version, kernels.map(({ release }) => release)]),
    readFileSync(build),
    ...filesBelow(overlay).flatMap((name) => [name, readFileSync(join(overlay, name))]),
  ]);
  const path = cachePath('debian', `bookworm-${key}.img`);
  await cached(path, async (incomplete) => {
    if (process.getuid?.() !== 0) {
      throw new KdumpError('lab-root', 'only root can make the root file system of the Debian guest', {
        fix: 'run the test once as root; the image is kept in the cache',
      });
    }
    await withTemporaryDirectory(async (scratch) => {
      const sources = join(scratch, 'sources.list');
      writeFileSync(sources, debianSources());
      const words = [incomplete, scratch, sources, overlay, packages.join(',')];
      // What is mounted for the packages' scripts stays in a namespace that ends with them.
      await check(
        'unshare',
        ['--mount', 'sh', build, ...words, ...kernels.map(({ modulesRoot }) => modulesRoot)],
        {
          timeout: 900_000,
          env: { NODE: process.execPath, NODE_VERSION: process.versions.node },
        },
      );
    });
    removeOthers(dirname(path));
  });
  return path;
}

/** Images of older recipes serve nobody any more. */
function removeOthers(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(directory)) {
    if (name.endsWith('.img')) rmSync(join(directory, name));
  }
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

/** A sources.list of the machine's own mirror. */
function debianSources(): string {
  const mirrors = debianMirrors(hostSources());
  if (mirrors === undefined) {
    throw new KdumpError('lab-mirror', 'no Debian archive among the sources in /etc/apt', {
      fix: 'the lab takes the mirror from /etc/apt/sources.list or /etc/apt/sources.list.d: name one there',
    });
  }
  const line = (uri: string, suite: string) =>
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${uri} ${suite} main\n`;
  const security = mirrors.security === undefined ? '' : line(mirrors.security, 'bookworm-security');
  return line(mirrors.archive, 'bookworm') + security;
}

function hostSources(): Map<string, string> {
  const parts = '/etc/apt/sources.list.d';
  const paths = [
    '/etc/apt/sources.list',
    ...(existsSync(parts) ? readdirSync(parts) : []).map((name) => join(parts, name)),
  ];
  return new Map(
    paths
      .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
      .map((path) => [path, readFileSync(path, 'utf8')]),
  );
}
