// A capture image that dracut builds, with our module from the checkout.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, repository } from './images.ts';
import type { LabKernel } from './kernels.ts';
import { check } from './process.ts';

/** Where Debian's dracut-core has its library; a copy of it can stand anywhere. */
const dracutBase = '/usr/lib/dracut';

/**
 * Builds a small initramfs with the host's dracut: what mounts a root file system, and the module of dracut/.
 * @param directory scratch; the image lies there, too
 * @param systemd whether systemd runs it, or dracut's own script
 * @param args more words for `mkdumprd --into`
 */
export async function dracutImage(
  kernel: LabKernel,
  directory: string,
  systemd: boolean,
  args: readonly string[],
): Promise<string> {
  const base = join(directory, 'dracut');
  cpSync(dracutBase, base, { recursive: true, verbatimSymlinks: true });
  cpSync(repository('dracut/99kdump-tools'), join(base, 'modules.d/99kdump-tools'), { recursive: true });
  // Nothing of the host's own settings.
  const settings = join(directory, 'dracut.conf.d');
  mkdirSync(settings);
  const conf = join(directory, 'dracut.conf');
  const words = (list: readonly string[]) => list.map((word) => `'${word}'`).join(' ');
  writeFileSync(
    conf,
    [
      `kdump_tools_mkdumprd=(${words([process.execPath, await bundle('mkdumprd')])})`,
      `kdump_tools_args=(${words(args)})`,
      '',
    ].join('\n'),
  );
  const modules = [
    ...['base', 'rootfs-block', 'fs-lib', 'kdump-tools'],
    ...(systemd ? ['systemd', 'systemd-initrd', 'dracut-systemd'] : []),
  ];
  const image = join(directory, 'dracut.img');
  await check(
    'env',
    [
      ...[`dracutbasedir=${base}`, 'dracut', '--force', '--no-hostonly', '--gzip', '--tmpdir', directory],
      ...['--conf', conf, '--confdir', settings, '--modules', modules.join(' ')],
      ...['--drivers', 'virtio_pci virtio_blk ext4', '--kver', kernel.release],
      ...['--kmoddir', join(kernel.modulesRoot, 'lib/modules', kernel.release), image],
    ],
    { timeout: 600_000 },
  );
  return image;
}
