import { realpathSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { readMounts } from '../../system/mount.ts';
import { readFileSystemIdentity } from '../block-devices.ts';

export type LocalTarget = {
  /** UUID=… where the superblock tells it, else the device's path */
  readonly device: string;
  /** The device's path on this machine. */
  readonly path: string;
  readonly fstype: string;
  /** The directory of dumps, seen from the root of that file system. */
  readonly directory: string;
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
  const mount = readMounts().findLast((candidate) => {
    const inside = relative(candidate.target, path);
    return candidate.device === device && (inside === '' || !inside.startsWith('..'));
  });
  if (mount === undefined || !mount.source.startsWith('/dev/') || mount.root !== '/')
    throw new KdumpError(
      'target-unknown',
      `${directory} is not on a file system that the capture kernel can mount by itself (${mount === undefined ? `device ${device}` : `${mount.fstype} from ${mount.source}, root ${mount.root}`})`,
      { fix, facts: { directory } },
    );
  const identity = readFileSystemIdentity(mount.source);
  return {
    device: identity === undefined ? mount.source : `UUID=${identity.uuid}`,
    path: mount.source,
    fstype: mount.fstype,
    directory: `/${relative(mount.target, path)}`,
  };
}
