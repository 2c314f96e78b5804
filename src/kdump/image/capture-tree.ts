import { chmodSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { type CaptureConfig, captureDefaults } from '../capture/config.ts';
import { paths } from '../capture/paths.ts';
import { captureScript } from './capture-init.ts';
import { buildNodeTree } from './node-tree.ts';
import { type CaptureRequest, settleCapture } from './settings.ts';

/** What mkdumprd is asked for when it adds the capture to an initramfs that another program (dracut) builds. */
export type CaptureTreeRequest = CaptureRequest & {
  /** Where that initramfs mounts the target. */
  readonly mountPoint: string;
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
export function writeCaptureTree(into: string, request: CaptureTreeRequest): CaptureTree {
  if (!statSync(into, { throwIfNoEntry: false })?.isDirectory())
    throw new KdumpError('no-directory', `${into} is not a directory`, {
      fix: 'Name the top of the tree that becomes the initramfs.',
    });
  const target = { mountPoint: request.mountPoint };
  const { config, files, nodeTree } = settleCapture(target, request.path ?? captureDefaults.path, request);
  const node = buildNodeTree(nodeTree);
  const written = [
    ...files,
    { path: paths.script, mode: 0o755, data: Buffer.from(captureScript(config, node.loader.inTree)) },
    { path: paths.squashfs, mode: 0o600, data: node.squashfs },
  ];
  for (const { path, mode, data } of written) {
    const file = join(into, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, data, { mode });
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
