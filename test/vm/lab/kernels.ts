// The kernels that are crashed: the newest of Debian 12's own archive, in the cloud flavour (small, quick under TCG).
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../../src/lib/errors.ts';
import { cached, cachePath } from './cache.ts';
import { newest, type Suite, unpacked } from './packages.ts';
import { check } from './process.ts';

export type KernelName = '6.1' | '6.12';

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

export const kernelNames: readonly KernelName[] = ['6.1', '6.12'];

const suites: readonly Suite[] = ['bookworm', 'bookworm-security'];
/** Packages that depend on the newest kernel of their series. */
const metaPackages: Record<KernelName, string> = {
  '6.1': 'linux-image-cloud-amd64',
  '6.12': 'linux-image-6.12-cloud-amd64',
};

/** A kernel, downloaded and made ready when the cache lacks it. */
export async function labKernel(name: KernelName): Promise<LabKernel> {
  const meta = await newest(suites, metaPackages[name]);
  const image = /(linux-image-(\S+)) \(= ([^)]+)\)/.exec(meta.depends);
  if (image === null) {
    throw new KdumpError('lab-kernel', `${meta.name} ${meta.version} names no kernel image: ${meta.depends}`);
  }
  const release = image[2]!;
  const root = await unpacked(suites, { name: image[1]!, version: image[3]! }, true);
  // The package runs depmod when it is installed; here nobody did. The mark says that it ran to its end.
  await cached(join(root, 'depmod-done'), async (incomplete) => {
    await check('depmod', ['-b', root, release]);
    await check('touch', [incomplete]);
  });
  const vmlinuz = join(root, 'boot', `vmlinuz-${release}`);
  if (!existsSync(vmlinuz)) {
    throw new KdumpError('lab-kernel', `${vmlinuz} is missing`, { fix: `remove ${cachePath('packages')}` });
  }
  const config = new Map<string, string>();
  for (const line of readFileSync(join(root, 'boot', `config-${release}`), 'utf8').split('\n')) {
    const setting = /^(CONFIG_\w+)=(.*)$/.exec(line);
    if (setting !== null) config.set(setting[1]!, setting[2]!);
  }
  return { name, release, vmlinuz, modulesRoot: root, config };
}
