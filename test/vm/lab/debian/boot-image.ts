// The initramfs that the lab's Debian guest boots with: it mounts the root file system and hands over to systemd.
import { assembleImage } from '../../../../src/kdump/image/assemble.ts';
import { loadModules, mountSystem } from '../../../../src/kdump/image/shell.ts';
import type { LabKernel } from '../kernels.ts';

const init = `#!/bin/sh
say() {
  echo "lab: $*" >/dev/kmsg
}
log=/run/lab.log
${mountSystem}
${loadModules}
mkdir -p /root
left=100
until [ -e /dev/vda ] || [ $left -eq 0 ]; do
  sleep 0.1
  left=$((left - 1))
done
mount -t ext4 /dev/vda /root || say "failed: the root file system cannot be mounted"
for each in proc sys dev; do
  mount -o move /$each /root/$each
done
exec switch_root /root /sbin/init
`;

/** The image for a kernel. It carries nothing but busybox and a few modules: it is made and unpacked at once. */
export function bootImage(kernel: LabKernel): Uint8Array {
  const { pieces } = assembleImage({
    init,
    applets: ['switch_root'],
    kernelRelease: kernel.release,
    modulesRoot: kernel.modulesRoot,
    modules: ['virtio_pci', 'virtio_blk', 'ext4'],
  });
  return Buffer.concat(pieces);
}
