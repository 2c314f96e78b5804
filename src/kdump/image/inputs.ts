import { createHash } from 'node:crypto';
import { fileDigest } from '../../system/file-digest.ts';

/** A file that an image was made from, or that says how: its path, and SHA-256 of its content. */
export type ImageInput = { readonly path: string; readonly digest: string };

/** Digest of a file that is not there. */
const absent = 'absent';

/** Files with their digests; one that is not there is a fact, too: it may come. */
export const readInputs = (paths: readonly string[]): ImageInput[] =>
  paths.map((path) => ({ path, digest: digestOf(path) }));

/** Paths of the files that are not what they were; lock-free, and cheap enough for a status. */
export function inputsChangedSince(inputs: readonly ImageInput[]): string[] {
  return inputs.filter(({ path, digest }) => digestOf(path) !== digest).map(({ path }) => path);
}

/** Names an image by everything that decides about its content. */
export const hashOf = (parts: unknown): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');

function digestOf(path: string): string {
  try {
    return fileDigest(path);
  } catch {
    return absent;
  }
}
