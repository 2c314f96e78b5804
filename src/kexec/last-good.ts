import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../lib/errors.ts';
import { finishDurably, incompleteName, syncDirectory, writeFileDurably } from '../system/durable.ts';
import { fileDigest } from '../system/file-digest.ts';
import type { LoadWish } from './plan.ts';
import type { Syscall } from './uapi.ts';

/**
 * The crash load that worked last, kept with copies of its files, so that it can be made again when a later one fails:
 * the kernel drops the old image before it looks at the new one, and the files may have been overwritten since.
 */
export const lastGoodDirectory = '/var/lib/kdump/armed';

/** A file as it was loaded. Its copy is named after what it is and its digest. */
export type KeptFile = { readonly path: string; readonly size: number; readonly sha256: string };

export type LastGood = {
  readonly format: 1;
  /** When it was loaded, ISO 8601 in UTC. */
  readonly loaded: string;
  /** The kernel that it was loaded into, and that kernel's boot. */
  readonly kernelRelease: string | null;
  readonly bootId: string | null;
  readonly kernel: KeptFile & { readonly version: string | null };
  /** Null also when the kernel's file carries it. */
  readonly initrd: KeptFile | null;
  /** What makes the same load again: `append` holds the whole command line, the system call is the one that worked. */
  readonly wish: LoadWish;
  readonly syscall: Syscall;
  readonly flagBits: number;
};

/** What is to be kept; the files are read again, and must have the sizes that they were loaded with. */
export type Keepable = Omit<LastGood, 'format' | 'kernel' | 'initrd'> & {
  readonly kernel: Omit<LastGood['kernel'], 'sha256'>;
  readonly initrd: Omit<KeptFile, 'sha256'> | null;
};

const recordName = 'armed.json';
type Role = 'kernel' | 'initrd';
const copyName = (role: Role, sha256: string): string => `${role}-${sha256}`;

/**
 * Keeps a load, durably: copies first, then the record that names them, then what it no longer names is removed.
 * Copies that are there are not made again.
 * @throws KdumpError `unsafe-directory`, `file-changed`, or a system error of node's (no space, read-only).
 */
export function keepLastGood(directory: string, load: Keepable): LastGood {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  checkDirectory(directory);
  chmodSync(directory, 0o700);
  const kept: LastGood = {
    ...load,
    format: 1,
    kernel: { ...keepFile(directory, 'kernel', load.kernel), version: load.kernel.version },
    initrd: load.initrd === null ? null : keepFile(directory, 'initrd', load.initrd),
  };
  writeFileDurably(join(directory, recordName), `${JSON.stringify(kept, null, 2)}\n`);
  removeOthers(directory, kept);
  return kept;
}

/**
 * The load that was kept, or null.
 * @throws KdumpError `unsafe-directory`, or `bad-record` when it is not one of ours.
 */
export function readLastGood(directory: string): LastGood | null {
  const path = join(directory, recordName);
  if (!existsSync(path)) return null;
  checkDirectory(directory);
  let kept: LastGood;
  try {
    kept = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new KdumpError('bad-record', `${path}: is not JSON`, { cause });
  }
  const isFile = (file: KeptFile) => typeof file?.path === 'string' && /^[0-9a-f]{64}$/.test(file.sha256);
  const good =
    kept?.format === 1 &&
    isFile(kept.kernel) &&
    (kept.initrd === null || isFile(kept.initrd)) &&
    kept.wish?.request?.placing !== undefined &&
    kept.wish.syscalls !== undefined;
  if (!good) throw new KdumpError('bad-record', `${path}: is not a record of a load`);
  return kept;
}

/**
 * Where a kept file is found now: where it came from if it is unchanged there (it may have a signature in its extended
 * attributes, which a copy has not), or the copy.
 * @throws KdumpError `bad-copy` when neither is what was loaded.
 */
export function locateKept(directory: string, role: Role, file: KeptFile): string {
  const copy = join(directory, copyName(role, file.sha256));
  for (const path of [file.path, copy]) {
    try {
      if (fileDigest(path) === file.sha256) return path;
    } catch {
      // Gone, or not readable: the other one may be there.
    }
  }
  throw new KdumpError(
    'bad-copy',
    `${copy}: is not the ${role} that was kept: its digest differs, or it is gone`,
  );
}

/** Forgets what was kept: the crash kernel was unloaded on purpose. Nothing there is fine. */
export function forgetLastGood(directory: string): void {
  if (!existsSync(join(directory, recordName))) return;
  checkDirectory(directory);
  rmSync(join(directory, recordName));
  syncDirectory(directory);
  removeOthers(directory, null);
}

function keepFile(directory: string, role: Role, { path, size }: Omit<KeptFile, 'sha256'>): KeptFile {
  const changed = () =>
    new KdumpError('file-changed', `${path}: has changed since it was loaded`, { facts: { path, size } });
  const sha256 = fileDigest(path);
  const copy = join(directory, copyName(role, sha256));
  if (!existsSync(copy)) {
    const incomplete = incompleteName(copy);
    rmSync(incomplete, { force: true });
    copyFileSync(path, incomplete, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    if (fileDigest(incomplete) !== sha256) {
      rmSync(incomplete, { force: true });
      throw changed();
    }
    finishDurably(incomplete, copy);
  }
  if (lstatSync(copy).size !== size) throw changed();
  return { path, size, sha256 };
}

/** Removes copies that the record does not name, unfinished ones included. */
function removeOthers(directory: string, kept: LastGood | null): void {
  const named = [
    ...(kept === null ? [] : [copyName('kernel', kept.kernel.sha256)]),
    ...(kept === null || kept.initrd === null ? [] : [copyName('initrd', kept.initrd.sha256)]),
  ];
  for (const name of readdirSync(directory))
    if (/^(kernel|initrd)-[0-9a-f]{64}(-incomplete)?$/.test(name) && !named.includes(name))
      rmSync(join(directory, name), { force: true });
}

/** What lies there is loaded with all rights, so nobody else may write there. */
function checkDirectory(directory: string): void {
  const { uid, mode } = lstatSync(directory);
  const isDirectory = (mode & constants.S_IFMT) === constants.S_IFDIR;
  if (isDirectory && uid === process.geteuid?.() && (mode & 0o022) === 0) return;
  throw new KdumpError('unsafe-directory', `${directory}: is no directory that only this user can write to`, {
    fix: 'Remove it, or change its owner and mode.',
    facts: { path: directory, uid, mode: (mode & 0o7777).toString(8) },
  });
}
