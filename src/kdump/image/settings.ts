import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { koffiAddon } from '../../system/shared-objects.ts';
import { collectRequest } from '../capture/collector-words.ts';
import {
  type CaptureConfig,
  type CaptureTarget,
  captureConfig,
  captureDefaults,
  checkCaptureConfig,
  type FinalAction,
} from '../capture/config.ts';
import { captureConfigPath, paths } from '../capture/paths.ts';
import type { ImageFile } from './assemble.ts';
import { codecLibraries, type NodeTreePlan } from './node-tree.ts';

/** What carries a capture: our bundle, and the node that runs it. */
export type Carrier = {
  /** The bundle of src/cli/capture.ts. */
  readonly captureBundle: string;
  readonly node: string;
};

/** What mkdumprd is asked for, whoever builds the initramfs that the capture runs in. */
export type CaptureRequest = Carrier & {
  readonly path?: string | undefined;
  readonly host: string;
  readonly coreCollector?: string | undefined;
  readonly finalAction?: FinalAction | undefined;
  /** Whether the capture makes a report; true when absent. */
  readonly report?: boolean | undefined;
};

export type CarriedCapture = {
  /** The settings as the file that the capture reads. */
  readonly files: readonly Extract<ImageFile, { data: Uint8Array }>[];
  readonly nodeTree: NodeTreePlan;
};

/**
 * The settings for one target, as they are asked for.
 * @param path directory of dumps, seen from the root of the target
 */
export function configOfRequest(target: CaptureTarget, path: string, request: CaptureRequest): CaptureConfig {
  return captureConfig({
    targets: [target],
    path,
    host: request.host,
    coreCollector: (request.coreCollector ?? captureDefaults.coreCollector).trim().split(/\s+/),
    finalAction: request.finalAction ?? captureDefaults.finalAction,
    report: request.report ?? captureDefaults.report,
  });
}

/**
 * Settles what the capture is carried by, and checks what it is told.
 * @param programs paths of programs of this machine that it runs
 * @throws KdumpError for settings that would not work in the capture kernel.
 */
export function carryCapture(
  config: CaptureConfig,
  { captureBundle, node }: Carrier,
  programs: readonly string[] = [],
): CarriedCapture {
  checkCaptureConfig(config, 'capture settings');
  const [program, ...options] = config.coreCollector;
  // A wrong option is found now, not in the crash kernel. Whether the dump is a stream depends on its target.
  if (program === 'makedumpfile')
    collectRequest([...options.filter((word) => word !== '-F'), '/proc/vmcore', 'vmcore-incomplete']);
  if (!existsSync(captureBundle))
    throw new KdumpError('not-built', `${captureBundle} does not exist`, {
      fix: 'Run npm run build in the directory of kdump-tools.',
    });
  return {
    files: [
      {
        path: captureConfigPath,
        mode: 0o600,
        data: Buffer.from(`${JSON.stringify(config, undefined, 2)}\n`),
      },
    ],
    nodeTree: {
      node,
      libraries: codecLibraries,
      koffi: koffiAddon(),
      bundles: [
        captureBundle,
        ...besideBundle(captureBundle, workerBundle),
        ...(config.report ? besideBundle(captureBundle, reportBundle) : []),
      ],
      programs,
    },
  };
}

/** What the collector's worker threads run; without it one thread works. */
const workerBundle = 'dump-worker.mjs';
/** What makes the report; without it the account says that there is none. */
const reportBundle = basename(paths.crashReport);

/** Bundles beside the capture's own. */
function besideBundle(captureBundle: string, name: string): string[] {
  const path = join(dirname(captureBundle), name);
  return existsSync(path) ? [path] : [];
}
