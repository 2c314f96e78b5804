import { closeSync, openSync } from 'node:fs';
import { writeAll } from '../../system/durable.ts';
import {
  allApplets,
  assembleImage,
  filesOf,
  type ImageFile,
  type ImageItem,
  type ImagePlan,
} from './assemble.ts';
import { captureInit } from './capture-init.ts';
import { firmwareOf } from './firmware.ts';
import type { Gathered } from './gather.ts';
import { openModuleTree, readModule, resolveFromTree } from './modules.ts';
import { type Carrier, carryCapture } from './settings.ts';

/** How an image is made, settled before any of it is: what decides about its content, and the making. */
export type ImageRecipe = {
  /** Decides about the content, beside the files. Plain JSON. */
  readonly parts: unknown;
  /** Files of this machine that go in, or that say what goes in. */
  readonly inputs: readonly string[];
  readonly warnings: readonly string[];
  /** Writes the image under a name that nobody takes for that of a whole one. */
  build(incomplete: string): BuiltImage;
};

export type BuiltImage = {
  /** Files in it, the largest first. */
  readonly items: readonly ImageItem[];
  readonly unpackedBytes: number | null;
};

/** Where things come from. */
export type ImageSite = {
  readonly release: string;
  /** Root directory below which lib/modules/RELEASE lies. */
  readonly modulesRoot: string;
  readonly carrier: Carrier;
};

/**
 * Plans an image of our own: an init of ours, and nothing in it that the capture does not need.
 * @throws as carryCapture and assembleImage
 */
export function planOwn(gathered: Gathered, { release, modulesRoot, carrier }: ImageSite): ImageRecipe {
  const { config } = gathered;
  const { files, nodeTree } = carryCapture(config, carrier, gathered.programs);
  const plan: ImagePlan = {
    init: captureInit(config),
    applets: appletsFor(gathered),
    kernelRelease: release,
    modulesRoot,
    modules: gathered.modules,
    homeModules: gathered.homeModules,
    files: [...files, ...gathered.files, ...firmwareFor(gathered.drivers, release, modulesRoot)],
    nodeTree,
  };
  const { files: planned = [], nodeTree: _, ...parts } = plan;
  return {
    parts: [
      parts,
      planned.map((file) => [
        file.path,
        file.mode,
        'data' in file ? Buffer.from(file.data).toString('base64') : file.source,
      ]),
    ],
    inputs: [...new Set([...filesOf(plan), ...gathered.sources])],
    warnings: gathered.warnings,
    build: (incomplete) => {
      const image = assembleImage(plan);
      writePieces(incomplete, image.pieces);
      return image;
    },
  };
}

/** People and their scripts take for granted all that busybox can do. */
function appletsFor({ config }: Gathered): string[] {
  const hooks = [...config.hooks.pre, ...config.hooks.post, ...config.hooks.emergency];
  const isForPeople = config.failureAction === 'shell' || hooks.length > 0 || config.notifications.length > 0;
  if (isForPeople) return allApplets();
  return config.network === null ? [] : ['ip', 'udhcpc'];
}

function firmwareFor(drivers: readonly string[], release: string, modulesRoot: string): ImageFile[] {
  const tree = openModuleTree(modulesRoot, release);
  const found = resolveFromTree(tree, release, drivers).flatMap((module) =>
    firmwareOf(readModule(tree, module), modulesRoot),
  );
  return [...new Map(found.map((file) => [file.path, { ...file, mode: 0o644 }])).values()];
}

function writePieces(path: string, pieces: readonly Uint8Array[]): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    for (const piece of pieces) writeAll(fd, piece);
  } finally {
    closeSync(fd);
  }
}
