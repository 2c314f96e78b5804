// The kernels that are crashed. Ordinary tests take the newest two series of Debian 12's own archive, in the cloud flavour
// (small, quick under TCG). What depends on how a kernel describes itself is also compared on others, when asked for.
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../../src/lib/errors.ts';
import { cached, cachePath } from './cache.ts';
import { newest, newestMatching, type PackageVersion, type Suite, unpacked } from './packages.ts';
import { check } from './process.ts';

type Source = {
  suites: readonly Suite[];
  /** A package that depends on the newest image of its series, where there is one. */
  meta?: string;
  /** Otherwise what the names of the images match. */
  images?: string;
};

const bookworm: readonly Suite[] = ['bookworm', 'bookworm-security'];
const debian = (suites: readonly Suite[], series: string): Source => ({
  suites,
  images: `^linux-image-${series.replace('.', '[.]')}[.-][^-]+(-[0-9]+)?-cloud-amd64$`,
});
const ubuntu = (suite: Suite, series: string): Source => ({
  suites: [suite],
  images: `^linux-image-${series.replace('.', '[.]')}[.]0-[0-9]+-generic$`,
});

const sources = {
  '5.10': debian(['bullseye', 'bullseye-security'], '5.10'),
  '5.15': ubuntu('jammy-updates', '5.15'),
  '5.19': ubuntu('jammy-updates', '5.19'),
  '6.1': { suites: bookworm, meta: 'linux-image-cloud-amd64' },
  '6.2': ubuntu('jammy-updates', '6.2'),
  '6.5': ubuntu('jammy-updates', '6.5'),
  '6.8': ubuntu('noble-updates', '6.8'),
  '6.11': ubuntu('noble-updates', '6.11'),
  '6.12': { suites: bookworm, meta: 'linux-image-6.12-cloud-amd64' },
  '6.14': ubuntu('noble-updates', '6.14'),
  '6.16': debian(['trixie-backports'], '6.16'),
  '6.17': debian(['trixie-backports'], '6.17'),
  '7.0': ubuntu('noble-updates', '7.0'),
  '7.2': debian(['trixie-backports'], '7.2'),
  '7.3': { suites: ['experimental'], images: '^linux-image-7[.]3-cloud-amd64$' },
} as const satisfies Record<string, Source>;

export type KernelName = keyof typeof sources;

export type LabKernel = {
  name: KernelName;
  /** As `uname -r`. */
  release: string;
  vmlinuz: string;
  /** Directory that holds lib/modules/<release>, with modules.dep made. */
  modulesRoot: string;
  /** CONFIG_… lines that are y or m. */
  config: ReadonlyMap<string, string>;
};

/** What every test of kernels runs on. */
export const kernelNames: readonly KernelName[] = ['6.1', '6.12'];

/**
 * What dumps are compared on: the names in KDUMP_LAB_KERNELS, separated by commas (`all` for all of them), or the
 * ordinary ones.
 */
export function comparedKernels(): readonly KernelName[] {
  const asked = process.env.KDUMP_LAB_KERNELS ?? '';
  if (asked === '') return kernelNames;
  const known = Object.keys(sources) as KernelName[];
  if (asked === 'all') return known;
  return asked.split(',').map((word) => {
    const name = known.find((candidate) => candidate === word);
    if (name !== undefined) return name;
    throw new KdumpError('lab-kernel', `KDUMP_LAB_KERNELS: the lab has no kernel ${word}`, {
      fix: `name some of ${known.join(', ')}`,
    });
  });
}

/** A kernel, downloaded and made ready when the cache lacks it. */
export async function labKernel(name: KernelName): Promise<LabKernel> {
  const { suites } = sources[name];
  const image = await newestImage(name);
  const release = image.name.slice('linux-image-'.length);
  // Older packages are one; Ubuntu's and newer ones of Debian have parts that bear the same release.
  const parts = new Set(image.depends.match(/linux-(binary|base|modules)-[\w.+-]+/g) ?? []);
  const beside = [...parts].filter((part) => part.endsWith(`-${release}`));
  const root = await unpacked(suites, image, true, beside);
  const modules = join(root, 'lib/modules', release);
  // The package runs depmod when it is installed; here nobody did. The mark says that it ran to its end.
  await cached(join(root, 'depmod-done'), async (incomplete) => {
    if (!existsSync(join(root, 'lib/modules'))) symlinkSync('usr/lib', join(root, 'lib'));
    await check('depmod', ['-b', root, release]);
    await check('touch', [incomplete]);
  });
  // In /boot; newer packages of Debian bring them beside the modules, and put them into /boot when they are installed.
  const vmlinuz = oneOf(join(root, 'boot', `vmlinuz-${release}`), join(modules, 'vmlinuz'));
  const configFile = oneOf(join(root, 'boot', `config-${release}`), join(modules, 'config'));
  const config = new Map<string, string>();
  for (const line of readFileSync(configFile, 'utf8').split('\n')) {
    const setting = /^(CONFIG_\w+)=(.*)$/.exec(line);
    if (setting !== null) config.set(setting[1]!, setting[2]!);
  }
  return { name, release, vmlinuz, modulesRoot: root, config };
}

function oneOf(...paths: readonly string[]): string {
  const path = paths.find((candidate) => existsSync(candidate));
  if (path !== undefined) return path;
  throw new KdumpError('lab-kernel', `${paths[0]} is missing`, { fix: `remove ${cachePath('packages')}` });
}

async function newestImage(name: KernelName): Promise<PackageVersion> {
  const source: Source = sources[name];
  if (source.meta === undefined) return newestMatching(source.suites, source.images!);
  const meta = await newest(source.suites, source.meta);
  const image = /(linux-image-\S+) \(= ([^)]+)\)/.exec(meta.depends);
  if (image === null) {
    throw new KdumpError('lab-kernel', `${meta.name} ${meta.version} names no kernel image: ${meta.depends}`);
  }
  return { name: image[1]!, version: image[2]!, depends: '' };
}
