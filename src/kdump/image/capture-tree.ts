import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { type CaptureConfig, captureDefaults } from '../capture/config.ts';
import { paths } from '../capture/paths.ts';
import { captureScript } from './capture-init.ts';
import { buildNodeTree } from './node-tree.ts';
import { type CaptureRequest, type Carrier, carryCapture, configOfRequest } from './settings.ts';

/** The capture for an initramfs that another program builds (dracut, initramfs-tools). */
export type CaptureHandover = {
  readonly config: CaptureConfig;
  /** Files beside the settings, with their content in base64. */
  readonly files: readonly { readonly path: string; readonly mode: number; readonly base64: string }[];
  /** Modules that the capture loads; the initramfs has to bring them. */
  readonly modules: readonly string[];
};

export type CaptureTree = {
  readonly config: CaptureConfig;
  /** What was written, by its path in the running initramfs, in bytes. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly missingLibraries: readonly string[];
};

/**
 * Writes the capture into the tree of an initramfs: node in its squashfs image, the settings, and the script that runs
 * it (paths.script). The initramfs has to bring sh, the programs of that script, and the modules loop and squashfs.
 * @param into top of the tree
 * @throws KdumpError `no-directory`, and those of the settings and of buildNodeTree
 */
export function writeCaptureTree(into: string, handover: CaptureHandover, carrier: Carrier): CaptureTree {
  if (!statSync(into, { throwIfNoEntry: false })?.isDirectory())
    throw new KdumpError('no-directory', `${into} is not a directory`, {
      fix: 'Name the top of the tree that becomes the initramfs.',
    });
  const { config, modules } = handover;
  const { files, nodeTree } = carryCapture(config, carrier);
  const node = buildNodeTree(nodeTree);
  const script = captureScript(config, node.loader.inTree, modules);
  const ours = [
    ...files,
    { path: paths.script, mode: 0o755, data: Buffer.from(script) },
    { path: paths.squashfs, mode: 0o600, data: node.squashfs },
  ];
  const more = handover.files
    .map(({ path, mode, base64 }) => ({ path, mode, data: Buffer.from(base64, 'base64') }))
    // What that initramfs has of its own (/etc/passwd), its programs count on.
    .filter(({ path }) => path === hostsFile || !existsSync(join(into, path)));
  const written = [...ours, ...more];
  for (const { path, mode, data } of written) {
    const file = join(into, path);
    mkdirSync(dirname(file), { recursive: true });
    const before = path === hostsFile && existsSync(file) ? readFileSync(file) : '';
    writeFileSync(file, data, { mode });
    if (before.length > 0) appendFileSync(file, before);
    chmodSync(file, mode);
  }
  for (const { path, inTree } of node.links) {
    const link = join(into, path);
    if (lstatSync(link, { throwIfNoEntry: false })) continue;
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(inTree, link);
  }
  return {
    config,
    files: written.map(({ path, data }) => ({ path, bytes: data.length })),
    missingLibraries: node.missing,
  };
}

const hostsFile = '/etc/hosts';

/** The capture for a file system that the initramfs mounts itself. @param mountPoint where */
export function handoverOfRequest(request: CaptureRequest, mountPoint: string): CaptureHandover {
  const target = { kind: 'mounted', mountPoint } as const;
  const config = configOfRequest(target, request.path ?? captureDefaults.path, request);
  return { config, files: [], modules: [] };
}

/** @throws KdumpError `bad-handover` */
export function readHandover(path: string): CaptureHandover {
  try {
    const { config, files, modules } = JSON.parse(readFileSync(path, 'utf8')) as CaptureHandover;
    if (Array.isArray(files) && Array.isArray(modules)) return { config, files, modules };
  } catch (cause) {
    throw new KdumpError('bad-handover', `${path}: ${(cause as Error).message}`, { cause });
  }
  throw new KdumpError('bad-handover', `${path} is not what kdumpctl writes for mkdumprd`);
}
