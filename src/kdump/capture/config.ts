import { KdumpError } from '../../lib/errors.ts';
import { paths } from './paths.ts';

/** Where dumps go: a device that the capture mounts, or a file system that somebody else has mounted before it begins. */
export type CaptureTarget = TargetDevice | MountedTarget;

export type TargetDevice = {
  /** /dev/…, UUID=… or LABEL=… */
  readonly device: string;
  readonly fstype: string;
  /** Words of fstab's fourth column, comma-separated; may be empty. */
  readonly mountOptions: string;
};

export type MountedTarget = {
  /** Directory on which it is mounted, absolute. The capture mounts nothing and unmounts nothing. */
  readonly mountPoint: string;
};

/** What the capture image is told at build time: the one file of settings in it. */
export type CaptureConfig = {
  readonly target: CaptureTarget;
  /** Directory on the target below which dumps are kept, absolute. */
  readonly path: string;
  /** First part of a dump directory's name. */
  readonly host: string;
  /** `makedumpfile OPTION…` or `cp`, in words; source and output are added. */
  readonly coreCollector: readonly string[];
  readonly finalAction: FinalAction;
  /** How long to wait for the device to appear, in seconds. */
  readonly deviceTimeout: number;
};

export const finalActions = ['reboot', 'poweroff', 'halt'] as const;
export type FinalAction = (typeof finalActions)[number];

/** Somebody else mounts the target, and unmounts it. */
export const isMountedTarget = (target: CaptureTarget): target is MountedTarget => 'mountPoint' in target;

/** The target as a reader knows it. */
export const targetName = (target: CaptureTarget): string =>
  isMountedTarget(target) ? target.mountPoint : target.device;

/** Directory below which the target is found while the capture runs. */
export const mountPointOf = (target: CaptureTarget): string =>
  isMountedTarget(target) ? target.mountPoint : paths.target;

/** Where the file lies in the image. */
export const captureConfigPath = '/etc/kdump/capture.json';

export const captureDefaults = {
  path: '/var/crash',
  mountOptions: '',
  coreCollector: 'makedumpfile -l --message-level 7 -d 31',
  finalAction: 'reboot',
  deviceTimeout: 30,
} as const;

/**
 * Reads and checks the settings.
 * @throws KdumpError `capture-config` naming the file, the setting, and what was found.
 */
export function parseCaptureConfig(text: string, name: string = captureConfigPath): CaptureConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new KdumpError('capture-config', `${name}: not JSON: ${(cause as Error).message}`, { cause });
  }
  const config = value as CaptureConfig;
  checkCaptureConfig(config, name);
  return config;
}

/** The checks of parseCaptureConfig, for settings that are about to be written into an image. */
export function checkCaptureConfig(config: CaptureConfig, name: string): void {
  const wrong = (setting: string, expected: string, found: unknown): never => {
    throw new KdumpError(
      'capture-config',
      `${name}: ${setting} is ${JSON.stringify(found) ?? 'missing'}, expected ${expected}`,
      { facts: { setting } },
    );
  };
  if (typeof config !== 'object' || config === null) wrong('the whole', 'an object', config);
  const { target, path, host, coreCollector, finalAction, deviceTimeout } = config;
  if (typeof target !== 'object' || target === null) wrong('target', 'an object', target);
  if (isMountedTarget(target)) {
    // The shell that runs beside the capture looks for it in /proc/mounts, where other characters are escaped.
    if (!isAbsolute(target.mountPoint) || !/^(\/[\w.:+-]+)+$/.test(target.mountPoint))
      wrong('target.mountPoint', 'an absolute path of plain characters', target.mountPoint);
  } else {
    if (typeof target.device !== 'string' || !/^(\/dev\/.|UUID=.|LABEL=.)/.test(target.device))
      wrong('target.device', '/dev/…, UUID=… or LABEL=…', target.device);
    if (typeof target.fstype !== 'string' || !/^[a-z0-9_.-]+$/.test(target.fstype))
      wrong('target.fstype', 'the name of a file system', target.fstype);
    if (typeof target.mountOptions !== 'string') wrong('target.mountOptions', 'text', target.mountOptions);
  }
  if (!isAbsolute(path)) wrong('path', 'an absolute path', path);
  if (typeof host !== 'string' || !/^[^/\0]+$/.test(host) || host.startsWith('.'))
    wrong('host', 'a name without slashes', host);
  if (!Array.isArray(coreCollector) || coreCollector.some((word) => typeof word !== 'string'))
    wrong('coreCollector', 'a list of words', coreCollector);
  const program = coreCollector[0];
  if (program !== 'makedumpfile' && !(program === 'cp' && coreCollector.length === 1))
    wrong('coreCollector', '"makedumpfile OPTION…" or "cp"', coreCollector.join(' '));
  if (!finalActions.includes(finalAction)) wrong('finalAction', finalActions.join(', '), finalAction);
  if (typeof deviceTimeout !== 'number' || !(deviceTimeout > 0) || deviceTimeout > 3600)
    wrong('deviceTimeout', 'seconds, above 0 and up to 3600', deviceTimeout);
}

const isAbsolute = (path: unknown): boolean =>
  typeof path === 'string' && path.startsWith('/') && !path.split('/').includes('..');
