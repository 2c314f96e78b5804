import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { koffiAddon } from '../../system/shared-objects.ts';
import {
  type CaptureConfig,
  type CaptureTarget,
  captureConfigPath,
  captureDefaults,
  checkCaptureConfig,
  type FinalAction,
} from '../capture/config.ts';
import { collectRequest } from '../capture/tools.ts';
import { codecLibraries, type NodeTreePlan } from './node-tree.ts';

/** What is asked of a capture, whoever builds the initramfs that it runs in. */
export type CaptureRequest = {
  readonly path?: string | undefined;
  readonly host: string;
  readonly coreCollector?: string | undefined;
  readonly finalAction?: FinalAction | undefined;
  /** The bundle of src/cli/capture.ts. */
  readonly captureBundle: string;
  readonly node: string;
};

export type SettledCapture = {
  readonly config: CaptureConfig;
  /** The settings as the file that the capture reads. */
  readonly files: readonly { readonly path: string; readonly mode: number; readonly data: Uint8Array }[];
  readonly nodeTree: NodeTreePlan;
};

/**
 * Settles what the capture is told and what it is carried by.
 * @param path directory of dumps, seen from the root of the target
 * @throws KdumpError for settings that would not work in the capture kernel.
 */
export function settleCapture(target: CaptureTarget, path: string, request: CaptureRequest): SettledCapture {
  const coreCollector = (request.coreCollector ?? captureDefaults.coreCollector).trim().split(/\s+/);
  const config: CaptureConfig = {
    target,
    path,
    host: request.host,
    coreCollector,
    finalAction: request.finalAction ?? captureDefaults.finalAction,
    deviceTimeout: captureDefaults.deviceTimeout,
  };
  checkCaptureConfig(config, 'capture settings');
  // A wrong option is found now, not in the crash kernel.
  if (coreCollector[0] === 'makedumpfile')
    collectRequest([...coreCollector.slice(1), '/proc/vmcore', 'vmcore-incomplete']);
  if (!existsSync(request.captureBundle))
    throw new KdumpError('not-built', `${request.captureBundle} does not exist`, {
      fix: 'Run npm run build in the directory of kdump-tools.',
    });
  return {
    config,
    files: [
      {
        path: captureConfigPath,
        mode: 0o600,
        data: Buffer.from(`${JSON.stringify(config, undefined, 2)}\n`),
      },
    ],
    nodeTree: {
      node: request.node,
      libraries: codecLibraries,
      koffi: koffiAddon(),
      bundles: [request.captureBundle, ...workerBundle(request.captureBundle)],
    },
  };
}

/** The collector's worker threads have a bundle of their own beside the capture's; without it one thread works. */
function workerBundle(captureBundle: string): string[] {
  const path = join(dirname(captureBundle), 'dump-worker.mjs');
  return existsSync(path) ? [path] : [];
}
