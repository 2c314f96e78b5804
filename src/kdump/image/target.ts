import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { type MountPoint, readMounts } from '../../system/mount.ts';
import { findBlockDevice, readFileSystemIdentity } from '../block-devices.ts';

export type LocalTarget = {
  /** UUID=… where the superblock tells it, else the device's path */
  readonly device: string;
  /** The device's path on this machine. */
  readonly path: string;
  readonly fstype: string;
  /** Where it is mounted now. */
  readonly mountPoint: string;
  /** The directory of dumps, seen from the root of that file system. */
  readonly directory: string;
  /** What it takes to mount all of it. */
  readonly mountOptions: string;
};

/**
 * The file system on which a directory of this machine lies, as a target.
 * @throws KdumpError `target-unknown` when the directory does not exist, or is on something that the capture kernel
 * cannot mount by itself.
 */
export function targetOfDirectory(directory: string): LocalTarget {
  const fix = 'Name the target with --target and --fstype.';
  let path: string;
  try {
    path = realpathSync(directory);
  } catch (cause) {
    throw new KdumpError('target-unknown', `${directory} does not exist`, {
      fix: `Make the directory. ${fix}`,
      cause,
    });
  }
  const { dev } = statSync(path);
  // glibc's makedev(): 12 bits of the major number and 20 of the minor one are in use.
  const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
  const isBelow = ({ target }: MountPoint): boolean => isInside(relative(target, path));
  const candidates = readMounts().filter(isBelow);
  const mount =
    candidates.findLast((candidate) => candidate.device === device) ??
    // A subvolume has a device number of its own, which no mount is listed with.
    candidates.findLast(({ fstype }) => fstype === 'btrfs');
  if (mount === undefined || !mount.source.startsWith('/dev/'))
    throw new KdumpError(
      'target-unknown',
      `${directory} is not on a file system that the capture kernel can mount by itself (${mount === undefined ? `device ${device}` : `${mount.fstype} from ${mount.source}`})`,
      { fix, facts: { directory } },
    );
  const identity = readFileSystemIdentity(mount.source);
  return {
    device: identity === undefined ? mount.source : `UUID=${identity.uuid}`,
    path: mount.source,
    fstype: mount.fstype,
    mountPoint: mount.target,
    // A bind mount or a subvolume shows a part of the file system; the capture mounts all of it.
    directory: join('/', mount.root, relative(mount.target, path)),
    mountOptions: mount.fstype === 'btrfs' ? wholeBtrfs : '',
  };
}

/** The top of a btrfs, whatever its default subvolume is. */
const wholeBtrfs = 'subvolid=5';
const isInside = (path: string): boolean => path === '' || !/^\.\.(\/|$)/.test(path);

/**
 * Path of a device of this machine, also by the names that only udev knows: PARTUUID=… and PARTLABEL=….
 * @param root directory that stands in for /, with sys/class/block and dev in it
 */
export function findDevice(device: string, root = '/'): string | undefined {
  const [, key, name] = /^(PARTUUID|PARTLABEL)=(.+)$/.exec(device) ?? [];
  if (key === undefined) return findBlockDevice(device, root);
  const link = join(
    root,
    'dev/disk',
    `by-${key.toLowerCase()}`,
    key === 'PARTUUID' ? name!.toLowerCase() : name!,
  );
  return existsSync(link) ? join('/dev', basename(realpathSync(link))) : undefined;
}
