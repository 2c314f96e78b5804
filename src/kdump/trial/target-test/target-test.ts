import { join } from 'node:path';
import type { FileSystemIdentity } from '../../../formats/superblock.ts';
import { KdumpError } from '../../../lib/errors.ts';
import type { EffectiveSettings } from '../../config/effective.ts';
import { describeTarget, type Target } from '../../config/target.ts';
import { tryDirectory } from './directory.ts';
import { type TargetOutcome, Trial, type TriedStep } from './outcome.ts';
import { type Ssh, trySsh } from './ssh.ts';

/** What trying a target needs of the machine. */
export type TargetDoors = {
  /** Directory on which the target is mounted already, writable; undefined when it is not. */
  mountedAt(target: Target): string | undefined;
  /** Path of a block device; undefined when it is not there. */
  findDevice(device: string): string | undefined;
  identify(device: string): FileSystemIdentity | undefined;
  /** Mounts for the time of the trial, with a bound; gives back where. */
  mount(source: string, fstype: string | null, options: string): string;
  unmount(mountPoint: string): void;
  readonly ssh: Ssh;
  /** Files with the keys of hosts, separated by blanks. */
  readonly knownHosts: string;
};

/** A server that does not answer ends the trial instead of holding it for ever. */
const nfsBound = 'soft,timeo=100,retrans=2,retry=0';

/**
 * Tries one target as the capture will use it, and leaves it as it was.
 * @param tell is told of each step once it is over
 */
export function testTarget(
  target: Target,
  settings: EffectiveSettings,
  doors: TargetDoors,
  tell?: (step: TriedStep) => void,
): TargetOutcome {
  const trial = new Trial(tell);
  switch (target.kind) {
    case 'directory':
      tryDirectory(trial, target.path, settings.limits.minFree);
      break;
    case 'ssh':
      trySsh(
        trial,
        target,
        { path: settings.path, key: settings.sshKey, knownHosts: doors.knownHosts },
        doors.ssh,
      );
      break;
    case 'raw':
      tryRaw(trial, target.device, doors);
      break;
    default:
      tryMounted(trial, target, settings, doors);
  }
  return trial.outcome(describeTarget(target));
}

type MountableTarget = Extract<Target, { kind: 'filesystem' | 'nfs' | 'virtiofs' }>;

function tryMounted(
  trial: Trial,
  target: MountableTarget,
  { path, limits }: EffectiveSettings,
  doors: TargetDoors,
): void {
  let mountPoint = doors.mountedAt(target);
  let mountedHere = false;
  if (mountPoint !== undefined) trial.try('mount', () => `mounted on ${mountPoint}`);
  else {
    trial.try('mount', () => {
      mountPoint = mountOf(target, doors);
      mountedHere = true;
      return '';
    });
  }
  if (mountPoint === undefined) return;
  try {
    tryDirectory(trial, join(mountPoint, path), limits.minFree);
  } finally {
    const at = mountPoint;
    if (mountedHere)
      trial.always('unmount', () => {
        doors.unmount(at);
        return '';
      });
  }
}

/** Mounts a target. @param more options for the mount @throws KdumpError what the door throws, `target-test` */
export function mountOf(target: MountableTarget, doors: TargetDoors, more = ''): string {
  const options = (...words: string[]): string => [...words, more].filter((word) => word !== '').join(',');
  switch (target.kind) {
    case 'nfs':
      return doors.mount(`${target.server}:${target.export}`, 'nfs', options(target.mountOptions, nfsBound));
    case 'virtiofs':
      return doors.mount(target.tag, 'virtiofs', options());
    case 'filesystem':
      return doors.mount(deviceOf(target.device, doors), target.fstype, options(target.mountOptions));
  }
}

/** A partition is not written to: that would cost what is on it. */
function tryRaw(trial: Trial, device: string, doors: TargetDoors): void {
  trial.try('device', () => {
    const found = deviceOf(device, doors);
    const identity = doors.identify(found);
    if (identity !== undefined)
      throw new KdumpError('target-test', `there is a file system of type ${identity.fstype} on ${device}`, {
        fix: 'A raw target loses what it holds: name a partition that is not in use.',
      });
    return `${found}; nothing was written to it`;
  });
}

function deviceOf(device: string, doors: TargetDoors): string {
  const found = doors.findDevice(device);
  if (found !== undefined) return found;
  throw new KdumpError('target-test', `${device} is not there`);
}
