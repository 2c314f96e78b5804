import { KdumpError } from '../lib/errors.ts';
import { errnoName, errnoText } from './errno.ts';
import { lastErrno, libc } from './ffi.ts';
import { readText } from './proc.ts';

/** mount(2) flags by their names in mount(8); [flag, whether the name sets or clears it]. Source: linux/mount.h. */
const flagsByName: Readonly<Record<string, readonly [flag: number, sets: boolean]>> = {
  ro: [1, true],
  rw: [1, false],
  nosuid: [2, true],
  suid: [2, false],
  nodev: [4, true],
  dev: [4, false],
  noexec: [8, true],
  exec: [8, false],
  sync: [16, true],
  async: [16, false],
  dirsync: [128, true],
  noatime: [1024, true],
  nodiratime: [2048, true],
  relatime: [1 << 21, true],
  strictatime: [1 << 24, true],
  lazytime: [1 << 25, true],
};

/** Words of fstab that are for mount(8) and init, and mean nothing to the kernel. */
const forUserSpace = /^(defaults|auto|noauto|nofail|user|nouser|users|owner|group|_netdev|comment=.*|x-.*)$/;

export type MountOptions = { readonly flags: number; readonly data: string };

/** Parts fstab's options into flags of mount(2) and the words that are for the file system itself. */
export function parseMountOptions(options: string): MountOptions {
  let flags = 0;
  const data: string[] = [];
  for (const word of options.split(',')) {
    const known = flagsByName[word];
    if (known) flags = known[1] ? flags | known[0] : flags & ~known[0];
    else if (word !== '' && !forUserSpace.test(word)) data.push(word);
  }
  return { flags, data: data.join(',') };
}

/** What an errno of mount(2) means for the one who set up the target. */
const causes: Readonly<Record<string, string>> = {
  ENODEV: 'the kernel does not know this file system: is its module in the image?',
  EINVAL: 'there is no such file system on the device, or it does not take these options',
  EBUSY: 'the device is in use or mounted already',
  EROFS: 'the device is read-only',
  EUCLEAN: 'the file system is damaged and needs fsck',
  ENXIO: 'the device is not ready',
  ENOTBLK: 'it is not a block device',
};

/**
 * Mounts a file system. @throws KdumpError `mount` with the errno explained.
 */
export function mount(source: string, target: string, fstype: string, options: string): void {
  const { flags, data } = parseMountOptions(options);
  const call = libc(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  );
  if (call(source, target, fstype, flags, data === '' ? null : data) === 0) return;
  const errno = lastErrno();
  const name = errnoName(errno);
  const explained = causes[name] ?? errnoText(errno);
  throw new KdumpError('mount', `${source} cannot be mounted as ${fstype} (${name}): ${explained}`, {
    facts: { source, target, fstype, options, errno: name },
  });
}

/** Unmounts, after which all that was written is on the device. @throws KdumpError `mount` */
export function unmount(target: string): void {
  if (libc('int umount2(const char *target, int flags)')(target, 0) === 0) return;
  const errno = lastErrno();
  throw new KdumpError('mount', `${target} cannot be unmounted (${errnoName(errno)}): ${errnoText(errno)}`, {
    facts: { target, errno: errnoName(errno) },
  });
}

/** MNT_FORCE and MNT_DETACH of umount(2). */
const forceAndDetach = 1 | 2;

/** Takes a mount away without waiting for a server that does not answer; what was not written yet is lost. */
export function unmountByForce(target: string): void {
  libc('int umount2(const char *target, int flags)')(target, forceAndDetach);
}

/** One line of /proc/self/mountinfo (proc(5)). */
export type MountPoint = {
  /** "major:minor" of the file system's device */
  readonly device: string;
  /** the part of the file system that is mounted: "/" unless it is a bind mount or a subvolume */
  readonly root: string;
  readonly target: string;
  readonly fstype: string;
  readonly source: string;
};

/** The mounts that this process sees, in the order they were made; empty when /proc is not mounted. */
export function readMounts(root = '/'): MountPoint[] {
  return (readText(root, 'proc/self/mountinfo') ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      // Optional fields lie between the options and a lone dash.
      const [left = '', right = ''] = line.split(' - ');
      const before = left.split(' ').map(unescapeOctal);
      const after = right.split(' ').map(unescapeOctal);
      return {
        device: before[2] ?? '',
        root: before[3] ?? '',
        target: before[4] ?? '',
        fstype: after[0] ?? '',
        source: after[1] ?? '',
      };
    });
}

/** Blank, tab, newline and backslash stand as \040, \011, \012 and \134. */
const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
