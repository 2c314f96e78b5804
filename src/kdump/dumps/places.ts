import { existsSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { answersWithin } from '../../system/answers.ts';
import { readMounts } from '../../system/mount.ts';
import { findBlockDevice } from '../block-devices.ts';
import { describeTarget, type Target } from '../config/target.ts';

/** Where the dumps of a target are on this machine. */
export type DumpPlace = {
  /** The target as it is written in a configuration. */
  readonly target: string;
  /** null: they cannot be looked at from here. */
  readonly directory: string | null;
  /** Why not. */
  readonly why?: string;
};

/** Accounts of crashes whose dumps may be where this machine does not see them. */
export const accountsDirectory = '/var/lib/kdump/crashes';

/**
 * Where this machine finds the dumps of each of its targets. Mounts nothing, asks no other machine.
 * @param root directory that stands in for /
 * @param answers whether the server of what is mounted there says something
 */
export function dumpPlaces(
  { targets, path }: { readonly targets: readonly Target[]; readonly path: string },
  root = '/',
  answers = answersSoon,
): DumpPlace[] {
  const places = targets.map((target) => {
    const found = placeOf(target, path, root, answers);
    return { target: describeTarget(target), ...found };
  });
  const accounts = join(root, accountsDirectory);
  return existsSync(accounts) ? [...places, { target: accountsDirectory, directory: accounts }] : places;
}

/**
 * The same for several set-ups, each place once. A server that does not answer is waited for once.
 * @param saves of which each may have targets of the others
 */
export function allDumpPlaces(
  saves: readonly Parameters<typeof dumpPlaces>[0][],
  root = '/',
  answers = answersSoon,
): DumpPlace[] {
  const asked = new Map<string, boolean>();
  const once = (mountPoint: string): boolean => {
    const known = asked.get(mountPoint) ?? answers(mountPoint);
    asked.set(mountPoint, known);
    return known;
  };
  const places = saves.flatMap((each) => dumpPlaces(each, root, once));
  return places.filter(
    ({ target, directory }, index) =>
      index === places.findIndex((place) => place.target === target && place.directory === directory),
  );
}

/** Seconds for a server to say something. */
const answerBound = 10;
const answersSoon = (mountPoint: string): boolean => answersWithin(mountPoint, answerBound);

type Found = Omit<DumpPlace, 'target'>;

function placeOf(
  target: Target,
  path: string,
  root: string,
  answers: (mountPoint: string) => boolean,
): Found {
  switch (target.kind) {
    case 'directory':
      return onThisMachine(target.path, root);
    case 'filesystem': {
      const device = findBlockDevice(target.device, root);
      if (device === undefined) return { directory: null, why: `${target.device} is not there` };
      // Two names of a device are compared by what they lead to.
      const real = realName(device, root);
      return mounted(
        path,
        root,
        `${target.device} is not mounted`,
        ({ source }) => realName(source, root) === real,
      );
    }
    case 'nfs': {
      const source = `${target.server}:${target.export.replace(/(.)\/+$/, '$1')}`;
      return mounted(
        path,
        root,
        `${source} is not mounted`,
        (mount) => mount.source === source,
        (mountPoint) => (answers(mountPoint) ? null : `${source} does not answer`),
      );
    }
    case 'virtiofs':
      return mounted(
        path,
        root,
        `${target.tag} is not mounted`,
        (mount) => mount.fstype === 'virtiofs' && mount.source === target.tag,
      );
    case 'ssh':
      return { directory: null, why: `its dumps are in ${path} on ${target.host}` };
    case 'raw':
      // What a partition holds is saved there as a file when the machine is armed.
      return onThisMachine(path, root);
  }
}

const onThisMachine = (path: string, root: string): Found =>
  existsSync(join(root, path))
    ? { directory: join(root, path) }
    : { directory: null, why: `${path} does not exist` };

type Mount = ReturnType<typeof readMounts>[number];

/** @param obstacle tells of a mount point why not to look into it */
function mounted(
  path: string,
  root: string,
  why: string,
  isIt: (mount: Mount) => boolean,
  obstacle: (mountPoint: string) => string | null = () => null,
): Found {
  const mount = readMounts(root).findLast((candidate) => candidate.root === '/' && isIt(candidate));
  if (mount === undefined) return { directory: null, why };
  const wrong = obstacle(join(root, mount.target));
  if (wrong !== null) return { directory: null, why: wrong };
  const directory = join(root, mount.target, path);
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
    ? { directory }
    : { directory: null, why: `${join(mount.target, path)} does not exist` };
}

function realName(device: string, root: string): string {
  try {
    return realpathSync(join(root, device));
  } catch {
    return join(root, device);
  }
}
