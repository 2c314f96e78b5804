// The lab's cache: downloaded packages, unpacked kernels, guest images, vmcores. Everything in it can be made again.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../../src/lib/errors.ts';

/** Top of the lab's cache; follows XDG_CACHE_HOME at the time of the call. */
export function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(base, 'kdump-tools', 'lab');
}

/** Path of something in the cache. */
export function cachePath(...parts: string[]): string {
  return join(cacheDirectory(), ...parts);
}

/**
 * A file or directory of the cache, made by `make` when it is missing. It is made under another name and renamed when
 * complete: what is found under its own name is whole. Two processes that want the same thing make it once.
 */
export async function cached(path: string, make: (incomplete: string) => Promise<void>): Promise<string> {
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  return withLock(path, async () => {
    if (existsSync(path)) return path;
    const incomplete = `${path}.incomplete`;
    rmSync(incomplete, { recursive: true, force: true });
    try {
      await make(incomplete);
      renameSync(incomplete, path);
    } finally {
      rmSync(incomplete, { recursive: true, force: true });
    }
    return path;
  });
}

const lockPatience = 30 * 60_000;
const lockPause = 200;

/**
 * Runs `work` while holding the lock of a cache path. The lock is a file with the owner's process id; one whose owner
 * has died is taken over.
 * @throws KdumpError `lab-lock` when a living owner keeps it for half an hour.
 */
export async function withLock<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  const lock = `${path}.lock`;
  mkdirSync(dirname(lock), { recursive: true });
  for (let waited = 0; !tryLock(lock); waited += lockPause) {
    if (waited >= lockPatience) {
      throw new KdumpError('lab-lock', `${lock} is held by process ${ownerOf(lock)} for too long`, {
        fix: 'wait for that process, or remove the file when it is not one of the lab',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, lockPause));
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function tryLock(lock: string): boolean {
  // Written beside and linked by rename of an exclusive name would race as well; `wx` is atomic, and an owner that
  // died between creating and writing leaves an empty file, which is stale after a second.
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (isStale(lock)) {
    const mine = `${lock}.stale-${process.pid}`;
    try {
      // Only one process wins the rename, so only one removes the stale lock.
      renameSync(lock, mine);
      rmSync(mine, { force: true });
    } catch {
      // Another process was quicker; the next round sees whose it is.
    }
  }
  return false;
}

function isStale(lock: string): boolean {
  const owner = ownerOf(lock);
  if (owner === undefined) {
    try {
      return Date.now() - statSync(lock).mtimeMs > 1000;
    } catch {
      return false;
    }
  }
  try {
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function ownerOf(lock: string): number | undefined {
  try {
    const owner = Number(readFileSync(lock, 'utf8'));
    return Number.isInteger(owner) && owner > 0 ? owner : undefined;
  } catch {
    return undefined;
  }
}

/** A directory that exists while `work` runs. */
export async function withTemporaryDirectory<Result>(
  work: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-lab-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** First 16 hex digits of the SHA-256 of texts and bytes: names what was made from them. */
export function contentHash(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    // The length first, so that ['ab', 'c'] and ['a', 'bc'] differ.
    hash.update(`${part.length}:`);
    hash.update(part);
  }
  return hash.digest('hex').slice(0, 16);
}
