import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { release as runningRelease } from 'node:os';
import { join } from 'node:path';
import { isKnownModule, type ModuleIndex } from '../../formats/module-dep.ts';
import { KdumpError } from '../../lib/errors.ts';
import { readFileSystemIdentity } from '../block-devices.ts';
import type { CaptureTarget } from '../capture/config.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import type { Target } from '../config/target.ts';
import { identifyTarget } from './capture-image.ts';
import { driversOfBlockDevice, driversOfVirtio, modulesForDrivers } from './drivers.ts';
import { fileSystemModule } from './modules.ts';
import { findDevice, targetOfDirectory } from './target.ts';

/** A target as the capture is told of it, and what the image needs for it. */
export type SettledTarget = {
  readonly target: CaptureTarget;
  /** Names or aliases of modules. */
  readonly modules: readonly string[];
  /** The machine that has to be reached. */
  readonly remote: string | null;
  /** What dracut is asked to bring up for it. */
  readonly dracut: readonly string[];
};

/** Who builds the image, and for which kernel. */
export type ImageSurroundings = {
  readonly builder: EffectiveSettings['builder'];
  readonly release: string;
  readonly index: ModuleIndex;
  /** Instead of the drivers that are found. */
  readonly drivers: readonly string[] | null;
};

/** Where another builder's initramfs mounts its root. */
export const rootOf = { dracut: '/sysroot', 'initramfs-tools': '/root' } as const;

/**
 * Settles one target.
 * @throws KdumpError `target-unknown`, `drivers-unknown`, `module-missing`
 */
export function settleTarget(target: Target, surroundings: ImageSurroundings): SettledTarget {
  switch (target.kind) {
    case 'directory':
      return settleDirectory(target.path, surroundings);
    case 'filesystem': {
      const { path, fstype } = identifyTarget(target.device, target.fstype);
      const device = lastingName(target.device, path);
      return local(
        { kind: 'filesystem', device, fstype, mountOptions: forCapture(target.mountOptions) },
        path,
        surroundings,
      );
    }
    case 'raw': {
      const path = findDevice(target.device) ?? target.device;
      return local({ kind: 'raw', device: lastingPartition(path) ?? target.device }, path, surroundings);
    }
    case 'nfs':
      return {
        target: { ...target, mountOptions: forCapture(target.mountOptions) },
        modules: nfsModules(surroundings),
        remote: target.server,
        dracut: [],
      };
    case 'ssh':
      return { target, modules: [], remote: target.host, dracut: [] };
    case 'virtiofs': {
      const { index, release } = surroundings;
      const drivers = modulesForDrivers('virtiofs', driversOfVirtio('virtiofs'), index, isRunning(release));
      return { target, modules: [...drivers, fileSystemModule(index, 'virtiofs')], remote: null, dracut: [] };
    }
  }
}

function settleDirectory(directory: string, surroundings: ImageSurroundings): SettledTarget {
  const { device, fstype, mountOptions, mountPoint, path, ...found } = targetOfDirectory(directory);
  const { builder } = surroundings;
  // It mounts its root anyway, whatever that is made of.
  if (builder !== 'own' && mountPoint === '/')
    return {
      target: { kind: 'mounted', mountPoint: rootOf[builder], path: directory },
      modules: [],
      remote: null,
      dracut: [],
    };
  const target = { kind: 'filesystem', device, fstype, mountOptions, path: found.directory } as const;
  return local(target, path, surroundings);
}

function local(
  target: CaptureTarget & { readonly kind: 'filesystem' | 'raw' },
  path: string,
  { builder, drivers, index, release }: ImageSurroundings,
): SettledTarget {
  // dracut brings whatever stands between this machine and the device, and mounts it.
  if (builder === 'dracut') return forDracut(target, path);
  const fileSystem = target.kind === 'filesystem' ? [fileSystemModule(index, target.fstype)] : [];
  const found = drivers ?? modulesForDrivers(path, driversOrAdvice(path), index, isRunning(release));
  return { target, modules: [...found, ...fileSystem], remote: null, dracut: [] };
}

/** Below it dracut mounts the targets that are not its root. */
const dracutMounts = '/kdumproot';

function forDracut(
  target: CaptureTarget & { readonly kind: 'filesystem' | 'raw' },
  path: string,
): SettledTarget {
  if (target.kind === 'raw') return { target, modules: [], remote: null, dracut: ['--add-device', path] };
  const { device, fstype, mountOptions } = target;
  const mountPoint = `${dracutMounts}/${device.replaceAll(/[^\w.-]+/g, '-').replace(/^-/, '')}`;
  const mount = [device, mountPoint, fstype, mountOptions || 'rw'].join(' ');
  return {
    target: { kind: 'mounted', mountPoint, ...(target.path === undefined ? {} : { path: target.path }) },
    modules: [],
    remote: null,
    dracut: ['--mount', mount],
  };
}

/** Whether drivers that are built into the running kernel are built into that one. */
export const isRunning = (release: string): boolean => release === runningRelease();

/** The drivers of a device, or what to do when our own builder is not the one for it. */
function driversOrAdvice(path: string): ReturnType<typeof driversOfBlockDevice> {
  try {
    return driversOfBlockDevice(path);
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    throw new KdumpError(error.code, error.message, {
      fix: 'Name a target that is a plain partition, or write image_builder dracut to /etc/kdump.conf.',
      facts: error.facts,
      cause: error,
    });
  }
}

/** Names of devices change from kernel to kernel; a file system's UUID does not, and the capture kernel finds it. */
function lastingName(device: string, path: string): string {
  if (/^(UUID|LABEL)=/.test(device)) return device;
  const uuid = readFileSystemIdentity(path)?.uuid;
  return uuid === undefined ? device : `UUID=${uuid}`;
}

function lastingPartition(path: string): string | undefined {
  const directory = '/dev/disk/by-partuuid';
  if (!existsSync(directory) || !existsSync(path)) return undefined;
  const name = readdirSync(directory).find(
    (entry) => realpathSync(join(directory, entry)) === realpathSync(path),
  );
  return name === undefined ? undefined : `PARTUUID=${name}`;
}

/** As kdump-utils does: what is read-only now is to be written then, and what waits for an administrator would wait long. */
function forCapture(options: string): string {
  const words = options.split(',').filter((word) => !/^(|noauto|nofail|nobootwait)$/.test(word));
  return words.map((word) => (word === 'ro' ? 'rw' : word)).join(',');
}

/** Every version of the protocol that the kernel has. */
function nfsModules({ index, release }: ImageSurroundings): string[] {
  const versions = ['nfsv4', 'nfsv3'].filter((name) => isKnownModule(index, name));
  if (!isKnownModule(index, 'nfs') || versions.length === 0)
    throw new KdumpError('module-missing', `kernel ${release} has no NFS client`, {
      fix: 'Install the package that has the module nfs, or name another target.',
      facts: { module: 'nfs', release },
    });
  return ['nfs', ...versions];
}
