import { chmodSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { readMounts, unmount, unmountByForce } from '../../../system/mount.ts';
import { run, runOrThrow } from '../../../system/processes.ts';
import { findBlockDevice, readFileSystemIdentity } from '../../block-devices.ts';
import type { EffectiveSettings } from '../../config/effective.ts';
import { dumpPlaces } from '../../dumps/places.ts';
import { systemKnownHosts } from '../../image/ssh.ts';
import type { TargetDoors } from './target-test.ts';

const mountBound = 90;
const sshBound = 120;

const mountDirectory = '/run/kdump-tools';
/** What the mount points of a process begin with. */
const mountsOf = (pid: number): string => join(mountDirectory, `target-${pid}-`);

/** Takes away what a trial that had to be ended has left mounted. */
export function unmountAfter(pid: number): void {
  for (const { target } of readMounts().filter((mount) => mount.target.startsWith(mountsOf(pid)))) {
    unmountByForce(target);
    rmdirSync(target);
  }
}

/** The machine that this process runs on. What is mounted for a trial is mounted where only root looks. */
export function localTargetDoors(settings: EffectiveSettings): TargetDoors {
  return {
    mountedAt: (target) => {
      const [place] = dumpPlaces({ ...settings, targets: [target], path: '/' });
      const at = place!.directory?.replace(/(.)\/$/, '$1');
      const mount = readMounts().findLast(({ target: mountPoint }) => mountPoint === at);
      return mount === undefined ? undefined : at;
    },
    findDevice: (device) => findBlockDevice(device),
    identify: readFileSystemIdentity,
    mount: (source, fstype, options) => {
      mkdirSync(mountDirectory, { recursive: true, mode: 0o700 });
      const mountPoint = mkdtempSync(mountsOf(process.pid));
      chmodSync(mountPoint, 0o700);
      try {
        // mount(8), not mount(2): it knows the helpers of file systems that need one, and it can be ended.
        runOrThrow(
          'mount',
          [
            ...(fstype === null ? [] : ['-t', fstype]),
            ...(options === '' ? [] : ['-o', options]),
            '--',
            source,
            mountPoint,
          ],
          { timeout: mountBound },
        );
      } catch (error) {
        rmdirSync(mountPoint);
        throw error;
      }
      return mountPoint;
    },
    unmount: (mountPoint) => {
      unmount(mountPoint);
      rmdirSync(mountPoint);
    },
    knownHosts: systemKnownHosts.join(' '),
    ssh: (args, input) => run('ssh', args, { input, timeout: sshBound }),
  };
}
