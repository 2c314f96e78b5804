import { existsSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { appendParameters } from '../../kexec/command-line.ts';
import type { MachineFacts } from '../../kexec/machine.ts';
import { KdumpError } from '../../lib/errors.ts';
import { fileDigest } from '../../system/file-digest.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { captureCommandLine, readCommandLineFacts } from './command-line.ts';
import type { CaptureImage, ServiceDoors } from './doors.ts';
import { findKernel } from './kernel-file.ts';
import { type ArmedRecord, type Saves, setupDigest } from './state.ts';

/** What is to be armed, down to the last byte. */
export type Desired = {
  readonly kernel: ArmedRecord['kernel'];
  readonly image: CaptureImage;
  readonly commandLine: string;
  readonly kexecArgs: readonly string[];
  readonly setup: string;
  readonly saves: Saves | null;
};

export type DesiredOptions = {
  /** One more parameter for the capture kernel. */
  readonly append?: string;
  readonly rebuild?: EffectiveSettings['rebuild'];
};

/**
 * Settles what is to be armed; the image is built when there is none of this content.
 * @throws KdumpError `no-kernel`, `no-image`, `no-command-line`, and what building an image throws
 */
export function settleDesired(
  settings: EffectiveSettings,
  doors: ServiceDoors,
  { append = '', rebuild = settings.rebuild }: DesiredOptions = {},
): Desired {
  const found = findKernel(settings.kernel, doors.root);
  const kernel = { ...found, sha256: fileDigest(join(doors.root, found.path)) };
  const facts = readCommandLineFacts(doors.root);
  const plain = captureCommandLine(settings.commandLine, settings.builder, facts);
  const image =
    settings.image.path === null
      ? doors.prepareImage(settings, { release: kernel.release, rebuild })
      : namedImage(settings.image.path, kernel.release, doors.root);
  const commandLine = appendParameters(plain, append);
  return {
    kernel,
    image,
    commandLine,
    kexecArgs: settings.kexecArgs,
    setup: setupDigest(kernel.sha256, image.hash, commandLine),
    saves: {
      targets: settings.targets,
      path: settings.path,
      report: settings.report,
      names: [hostname()],
    },
  };
}

/** The image that KDUMP_IMAGE names, which somebody else looks after. */
function namedImage(path: string, release: string, root: string): CaptureImage {
  const file = join(root, path);
  if (!existsSync(file))
    throw new KdumpError('no-image', `${path} is not there`, {
      fix: `KDUMP_IMAGE in /etc/default/kdump-tools names it. Build it with mkdumprd ${path} ${release}, or leave the variable out.`,
    });
  const hash = fileDigest(file);
  return {
    path,
    hash,
    release,
    reused: true,
    inputs: [{ path, digest: hash }],
    bytes: statSync(file).size,
    unpackedBytes: null,
    items: [],
    warnings: [],
  };
}

/** What is different between what is armed and what is to be, as ends of a sentence; none: nothing has to be done. */
export function differences(
  armed: ArmedRecord | null,
  desired: Desired,
  { loaded, bootId }: MachineFacts,
): string[] {
  if (loaded.crash !== true) return ['no crash kernel is loaded'];
  if (armed === null || armed.bootId !== bootId) return ['what is loaded was not loaded by kdumpctl'];
  return [
    ...(armed.kernel.sha256 === desired.kernel.sha256 ? [] : [`${desired.kernel.path} is another kernel`]),
    ...(armed.image.hash === desired.image.hash ? [] : ['the capture image is another one']),
    ...(armed.commandLine === desired.commandLine
      ? []
      : ['the command line of the capture kernel is another one']),
  ];
}
