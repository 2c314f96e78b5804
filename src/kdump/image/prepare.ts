import { mkdirSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { version } from '../../lib/version.ts';
import { finishDurably, incompleteName } from '../../system/durable.ts';
import { fileDigest } from '../../system/file-digest.ts';
import { readInteger } from '../../system/proc.ts';
import type { EffectiveSettings } from '../config/effective.ts';
import { configFile } from '../config/parse.ts';
import { variableFiles } from '../config/variables.ts';
import { accountsDirectory } from '../dumps/places.ts';
import type { ImageItem } from './assemble.ts';
import { checkBudget } from './budget.ts';
import { planExternal } from './external.ts';
import { gather } from './gather.ts';
import { hashOf, type ImageInput, readInputs } from './inputs.ts';
import { openModuleTree } from './modules.ts';
import { type ImageRecipe, planOwn } from './own.ts';
import type { Carrier } from './settings.ts';
import {
  findImage,
  type ImageRecord,
  imageDirectory,
  imagePath,
  newestImage,
  openStore,
  pruneImages,
  type StoredImage,
  saveRecord,
} from './store.ts';

export type PrepareOptions = {
  /** The kernel that runs the image. */
  readonly release: string;
  readonly rebuild?: EffectiveSettings['rebuild'];
  /** Where images are kept. */
  readonly directory?: string;
  /** Images that stay whatever their age: the one that is armed at present. */
  readonly keep?: readonly string[];
  /** Directory of this machine for accounts of crashes, which is made; null for none. */
  readonly accounts?: string | null;
  /** Bytes that are reserved for the capture kernel; as the running kernel says it when absent, null: not known. */
  readonly reserved?: number | null;
  readonly carrier?: Carrier;
};

/** A capture image that is ready to be loaded. */
export type PreparedImage = {
  readonly path: string;
  /** Names everything that decides about its content. */
  readonly hash: string;
  readonly release: string;
  /** It was there already. */
  readonly reused: boolean;
  /** Files that it was made from, and those that said how. */
  readonly inputs: readonly ImageInput[];
  /** Files in it with their sizes, the largest first. */
  readonly items: readonly ImageItem[];
  readonly bytes: number;
  readonly unpackedBytes: number | null;
  readonly warnings: readonly string[];
};

/**
 * Makes the capture image that the settings ask for, or takes the one of this content that is there. Its name is made
 * from the content of all that goes into it, so an image that is armed is never written over.
 * @throws KdumpError for whatever would keep the capture from working; what is there is left as it is then
 */
export function prepareImage(settings: EffectiveSettings, options: PrepareOptions): PreparedImage {
  const { release, directory = imageDirectory, rebuild = settings.rebuild, carrier = ourCarrier() } = options;
  const { accounts = accountsDirectory } = options;
  openStore(directory);
  const newest = rebuild === 'never' ? newestImage(directory, release) : undefined;
  if (newest !== undefined) return prepared(newest, true, undefined);

  const reserved = options.reserved === undefined ? reservedBytes() : options.reserved;
  const recipe = planImage(settings, release, carrier, accounts);
  const files = readInputs(recipe.inputs);
  const hash = hashOf([version, release, recipe.parts, files]);
  const inputs = [...files, ...readInputs(settingFiles)];
  const found = rebuild === 'always' ? undefined : findImage(directory, release, hash);
  if (found !== undefined) {
    const warning = checkBudget(found.record, reserved);
    return prepared({ ...found, record: { ...found.record, inputs } }, true, warning);
  }
  const path = imagePath(directory, release, hash);
  const incomplete = incompleteName(path);
  try {
    const { items, unpackedBytes } = recipe.build(incomplete);
    const bytes = statSync(incomplete).size;
    const warning = checkBudget({ bytes, items }, reserved);
    const record: ImageRecord = {
      ...{ format: 1, hash, release, sha256: fileDigest(incomplete), bytes, unpackedBytes },
      ...{ items, inputs, warnings: recipe.warnings },
    };
    saveRecord(path, record);
    finishDurably(incomplete, path);
    pruneImages(directory, [path, ...(options.keep ?? [])]);
    return prepared({ path, record }, false, warning);
  } finally {
    rmSync(incomplete, { force: true });
  }
}

/** Files that say what goes into an image; a change of them is worth a look, though it may not change the image. */
const settingFiles = [configFile, variableFiles.sysconfig, variableFiles.default];

function planImage(
  settings: EffectiveSettings,
  release: string,
  carrier: Carrier,
  accounts: string | null,
): ImageRecipe {
  const modulesRoot = settings.image.modulesRoot ?? '/';
  const { index } = openModuleTree(modulesRoot, release);
  const { builder } = settings;
  if (accounts !== null) mkdirSync(accounts, { recursive: true, mode: 0o700 });
  const gathered = gather(settings, { builder, release, index, drivers: settings.image.drivers }, accounts);
  const site = { release, modulesRoot, carrier };
  return builder === 'own'
    ? planOwn(gathered, site)
    : planExternal(builder, gathered, settings.dracutArgs, site);
}

function prepared(
  { path, record }: StoredImage,
  reused: boolean,
  warning: string | undefined,
): PreparedImage {
  const { hash, release, inputs, items, bytes, unpackedBytes, warnings } = record;
  return {
    ...{ path, hash, release, reused, inputs, items, bytes, unpackedBytes },
    warnings: warning === undefined ? warnings : [...warnings, warning],
  };
}

/** Our own bundle, beside the one that this is part of. */
const ourCarrier = (): Carrier => ({
  captureBundle: fileURLToPath(new URL('./capture.mjs', import.meta.url)),
  node: process.execPath,
});

const reservedBytes = (): number | null => readInteger('/', 'sys/kernel/kexec_crash_size');
