import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

export const release = '6.1.0-test';

/** A directory that is removed by `remove`. */
export function temporary(): { root: string; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'kdump-test-'));
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) };
}

export function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** Modules of a kernel that has loop built in and virtio_blk compressed. */
export function writeModules(root: string): void {
  const directory = join(root, 'lib/modules', release);
  write(
    join(directory, 'modules.dep'),
    'kernel/virtio_blk.ko.gz: kernel/virtio.ko\nkernel/virtio.ko:\nkernel/squashfs.ko:\n',
  );
  write(join(directory, 'modules.builtin'), 'kernel/drivers/block/loop.ko\nkernel/fs/ext4/ext4.ko\n');
  write(join(directory, 'kernel/virtio.ko'), 'module virtio');
  write(join(directory, 'kernel/squashfs.ko'), 'module squashfs');
  write(join(directory, 'kernel/virtio_blk.ko.gz'), gzipSync('module virtio_blk'));
}

/** /sys of a machine with a virtio disk vda1 on PCI, an lvm volume on it, a disk `odd` with a built-in driver, and one without any. */
export function writeSys(root: string): void {
  const pci = 'sys/devices/pci0000:00/0000:00:04.0';
  const link = (path: string, target: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(target, join(root, path));
  };
  for (const directory of [
    `${pci}/virtio0/block/vda/vda1`,
    'sys/devices/virtual/block/dm-0/slaves',
    'sys/devices/odd/block/odd',
    'sys/devices/none/block/none',
  ])
    mkdirSync(join(root, directory), { recursive: true });
  for (const name of ['virtio_pci', 'virtio_blk'])
    mkdirSync(join(root, 'sys/module', name), { recursive: true });
  for (const driver of [
    'bus/pci/drivers/virtio-pci',
    'bus/virtio/drivers/virtio_blk',
    'bus/x/drivers/builtin',
  ])
    mkdirSync(join(root, 'sys', driver), { recursive: true });
  link('sys/bus/pci/drivers/virtio-pci/module', '../../../../module/virtio_pci');
  link('sys/bus/virtio/drivers/virtio_blk/module', '../../../../module/virtio_blk');
  link(`${pci}/driver`, '../../../bus/pci/drivers/virtio-pci');
  link(`${pci}/virtio0/driver`, '../../../../bus/virtio/drivers/virtio_blk');
  link(
    'sys/devices/virtual/block/dm-0/slaves/vda1',
    '../../../../pci0000:00/0000:00:04.0/virtio0/block/vda/vda1',
  );
  write(join(root, pci, 'virtio0/modalias'), 'virtio:d00000002v00001AF4\n');
  link('sys/devices/odd/driver', '../../bus/x/drivers/builtin');
  link('sys/class/block/vda', '../../devices/pci0000:00/0000:00:04.0/virtio0/block/vda');
  link('sys/class/block/vda1', '../../devices/pci0000:00/0000:00:04.0/virtio0/block/vda/vda1');
  link('sys/class/block/dm-0', '../../devices/virtual/block/dm-0');
  link('sys/class/block/none', '../../devices/none/block/none');
  link('sys/class/block/odd', '../../devices/odd/block/odd');
}
