import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '../../system/durable.ts';
import { fileDigest } from '../../system/file-digest.ts';
import type { ImageItem } from './assemble.ts';
import type { ImageInput } from './inputs.ts';

/** Where images are kept, by the names of their contents. */
export const imageDirectory = '/var/lib/kdump/images';

/** What is known of an image, in a file beside it. */
export type ImageRecord = {
  readonly format: 1;
  readonly hash: string;
  readonly release: string;
  /** SHA-256 of the image itself. */
  readonly sha256: string;
  readonly bytes: number;
  /** In the memory of the booted kernel; null where another builder has made it and it could not be told. */
  readonly unpackedBytes: number | null;
  /** Files in it, the largest first. */
  readonly items: readonly ImageItem[];
  readonly inputs: readonly ImageInput[];
  readonly warnings: readonly string[];
};

export type StoredImage = { readonly path: string; readonly record: ImageRecord };

const hashDigits = 16;
const keptImages = 2;
const imageName = /^(.+)-([0-9a-f]{16})\.img$/;
const recordOf = (path: string): string => path.replace(/\.img$/, '.json');

/** Path of the image of this content. */
export const imagePath = (directory: string, release: string, hash: string): string =>
  join(directory, `${release}-${hash.slice(0, hashDigits)}.img`);

/** Makes the directory, which only root can look into. */
export function openStore(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
}

/** The image of this content, when it is there and whole; it counts as used. */
export function findImage(directory: string, release: string, hash: string): StoredImage | undefined {
  const found = readImage(imagePath(directory, release, hash));
  if (found?.record.hash !== hash || fileDigest(found.path) !== found.record.sha256) return undefined;
  const now = new Date();
  utimesSync(found.path, now, now);
  return found;
}

/** The image of a kernel that was used last, whatever is in it. */
export function newestImage(directory: string, release: string): StoredImage | undefined {
  const path = byAge(directory).find((name) => imageName.exec(name)?.[1] === release);
  return path === undefined ? undefined : readImage(join(directory, path));
}

/** Keeps what is known of an image; before the image itself has its name, so that none is without. */
export function saveRecord(path: string, record: ImageRecord): void {
  writeFileDurably(recordOf(path), `${JSON.stringify(record, undefined, 2)}\n`);
}

/**
 * Removes images but for the last two, and what a power cut has left of others.
 * @param keep paths of images that stay: the one that is armed at present
 */
export function pruneImages(directory: string, keep: readonly string[]): void {
  const names = byAge(directory);
  const protectedNames = names.filter((name) => keep.includes(join(directory, name)));
  const others = names.filter((name) => !protectedNames.includes(name));
  const kept = [...protectedNames, ...others.slice(0, Math.max(0, keptImages - protectedNames.length))];
  for (const name of readdirSync(directory)) {
    const image = name.replace(/\.json$/, '.img');
    const isOurs = imageName.test(image) || name.includes('-incomplete');
    if (isOurs && !kept.includes(image)) rmSync(join(directory, name), { force: true, recursive: true });
  }
}

/** Names of images, the one that was used last first. */
function byAge(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => imageName.test(name))
    .map((name) => ({ name, time: statSync(join(directory, name)).mtimeMs }))
    .sort((a, b) => b.time - a.time || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

function readImage(path: string): StoredImage | undefined {
  try {
    const record = JSON.parse(readFileSync(recordOf(path), 'utf8')) as ImageRecord;
    return record.format === 1 && existsSync(path) ? { path, record } : undefined;
  } catch {
    return undefined;
  }
}
