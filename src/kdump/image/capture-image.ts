import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { KdumpError } from '../../lib/errors.ts';
import { writeFileDurably } from '../../system/durable.ts';
import { readFileSystemIdentity } from '../block-devices.ts';
import { type CaptureConfig, captureDefaults } from '../capture/config.ts';
import { type AssembledImage, assembleImage, type ImagePlan } from './assemble.ts';
import { captureInit } from './capture-init.ts';
import { driversOfBlockDevice, modulesForDrivers } from './drivers.ts';
import { fileSystemModule, openModuleTree } from './modules.ts';
import { type CaptureRequest, carryCapture, configOfRequest } from './settings.ts';
import { findDevice, type LocalTarget, targetOfDirectory } from './target.ts';

/** What mkdumprd is asked for; what is left out is derived from this machine. */
export type CaptureImageRequest = CaptureRequest & {
  readonly kernelRelease: string;
  readonly modulesRoot: string;
  /** /dev/…, UUID=… or LABEL=…; the file system that `path` is on when absent */
  readonly target?: string | undefined;
  readonly fstype?: string | undefined;
  readonly mountOptions?: string | undefined;
  /** Driver modules of the target; derived from sysfs when absent. */
  readonly drivers?: readonly string[] | undefined;
};

/**
 * Settles everything about a capture image without building it.
 * @throws KdumpError for settings that would not work in the capture kernel.
 */
export function planCaptureImage(request: CaptureImageRequest): { config: CaptureConfig; plan: ImagePlan } {
  const target = settleTarget(request);
  const { device, fstype, directory, mountOptions } = target;
  const config = configOfRequest({ kind: 'filesystem', device, fstype, mountOptions }, directory, request);
  const { files, nodeTree } = carryCapture(config, request);
  const { index } = openModuleTree(request.modulesRoot, request.kernelRelease);
  const drivers =
    request.drivers ??
    modulesForDrivers(
      target.path,
      driversOfBlockDevice(target.path),
      index,
      request.kernelRelease === release(),
    );
  return {
    config,
    plan: {
      init: captureInit(config),
      kernelRelease: request.kernelRelease,
      modulesRoot: request.modulesRoot,
      modules: [...drivers, fileSystemModule(index, target.fstype)],
      files,
      nodeTree,
    },
  };
}

/**
 * Builds the image and gives it its name once it is whole and on the disk; only its owner can read it.
 * @throws KdumpError `image-exists` when it is there and may not be replaced
 */
export function buildImage(path: string, plan: ImagePlan, overwrite: boolean): AssembledImage {
  if (!overwrite && existsSync(path))
    throw new KdumpError('image-exists', `${path} exists already`, {
      fix: 'Give another name, or -f to replace it.',
    });
  const image = assembleImage(plan);
  writeFileDurably(path, image.pieces, 0o600);
  return image;
}

type SettledTarget = Omit<LocalTarget, 'mountPoint'>;

function settleTarget(request: CaptureImageRequest): SettledTarget {
  const directory = request.path ?? captureDefaults.path;
  if (request.target === undefined) {
    const local = targetOfDirectory(directory);
    const { fstype = local.fstype, mountOptions = local.mountOptions } = request;
    return { ...local, fstype, mountOptions };
  }
  const { mountOptions = captureDefaults.mountOptions } = request;
  return { ...identifyTarget(request.target, request.fstype), directory, mountOptions };
}

/**
 * The device that a target names and the file system on it. The device need not be on this machine, as long as nothing has
 * to be asked of it.
 * @throws KdumpError `target-unknown`, `target-mismatch` when there is another file system than the one that is named
 */
export function identifyTarget(
  device: string,
  known: string | null | undefined,
): { device: string; path: string; fstype: string } {
  const path = findDevice(device) ?? device;
  const found = readFileSystemIdentity(path)?.fstype;
  const fstype = known ?? found;
  if (fstype === undefined)
    throw new KdumpError('target-unknown', `the file system on ${device} is not known`, {
      fix: 'Name it with --fstype, or as the directive in /etc/kdump.conf.',
      facts: { device },
    });
  if (found !== undefined && !isMountedAs(found, fstype))
    throw new KdumpError('target-mismatch', `${device} holds ${found}, and is to be mounted as ${fstype}`, {
      fix: `Name it as ${found}, or name another device.`,
      facts: { device, found },
    });
  return { device, path, fstype };
}

/** Each of them mounts those before it. */
const extGenerations = ['ext2', 'ext3', 'ext4'];

const isMountedAs = (found: string, fstype: string): boolean =>
  found === fstype ||
  fstype === 'auto' ||
  (extGenerations.includes(found) && extGenerations.indexOf(found) < extGenerations.indexOf(fstype));
