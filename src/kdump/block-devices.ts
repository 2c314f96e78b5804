import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type FileSystemIdentity, identifyFileSystem, superblockBytes } from '../formats/superblock.ts';

/** Devices that never hold a target, and would be woken or blocked by a read. */
const neverTargets = /^(loop|ram|zram|sr|fd|nbd)\d/;

/** The file system on a device, by its superblock; undefined when there is none that we know or it cannot be read. */
export function readFileSystemIdentity(device: string): FileSystemIdentity | undefined {
  try {
    const fd = openSync(device, 'r');
    try {
      const start = Buffer.alloc(superblockBytes);
      return identifyFileSystem(start.subarray(0, readSync(fd, start, 0, start.length, 0)));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

/**
 * Path of the block device that `/dev/…`, `UUID=…` or `LABEL=…` names; undefined when it is not there (yet).
 * @param root directory that stands in for /, with sys/class/block and dev in it
 */
export function findBlockDevice(specification: string, root = '/'): string | undefined {
  const [, key, value] = /^(UUID|LABEL)=(.*)$/s.exec(specification) ?? [];
  if (key === undefined || value === undefined)
    return existsSync(join(root, specification)) ? specification : undefined;
  const found = blockDevices(root).find((name) => {
    const identity = readFileSystemIdentity(join(root, 'dev', name));
    return key === 'UUID' ? identity?.uuid === value.toLowerCase() : identity?.label === value;
  });
  return found === undefined ? undefined : join('/dev', found);
}

function blockDevices(root: string): string[] {
  try {
    return readdirSync(join(root, 'sys/class/block'))
      .filter((name) => !neverTargets.test(name))
      .sort();
  } catch {
    return [];
  }
}
