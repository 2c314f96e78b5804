import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type BzImage, bzImageHeadBytes, probeBzImage } from '../formats/bzimage.ts';
import { describeError, KdumpError } from '../lib/errors.ts';
import { exitCodes } from './uapi.ts';

/** The files of a load, read as far as planning needs them. */
export type KernelFile = { readonly path: string; readonly size: number; readonly image: BzImage };
export type InitrdFile = { readonly path: string; readonly size: number };

/** @throws KdumpError `kernel-file` (missing, unreadable, a directory, empty) or what probeBzImage throws. */
export function readKernel(path: string): KernelFile {
  const { head, size } = readHead('kernel', path, bzImageHeadBytes);
  try {
    return { path, size, image: probeBzImage(head, size, path) };
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    // The format's errors know no tools; the original ends with this code for a file that it cannot load.
    throw new KdumpError(error.code, error.message, {
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      facts: { ...error.facts, path },
      exitCode: exitCodes.failed,
    });
  }
}

/** @throws KdumpError `initrd-file` (missing, unreadable, a directory, empty). */
export function readInitrd(path: string): InitrdFile {
  return { path, size: readHead('initrd', path, 0).size };
}

function readHead(
  role: 'kernel' | 'initrd',
  path: string,
  wanted: number,
): { head: Uint8Array; size: number } {
  const refuse = (why: string, facts: Record<string, string | number> = {}) =>
    new KdumpError(`${role}-file`, `${role} ${path}: ${why}`, {
      facts: { path, ...facts },
      exitCode: exitCodes.failed,
    });
  const fd = openForReading(role, path);
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw refuse('is a directory');
    if (!stat.isFile()) throw refuse('is not a regular file');
    if (stat.size === 0) throw refuse('is empty');
    const head = new Uint8Array(Math.min(wanted, stat.size));
    for (let have = 0; have < head.length; ) {
      const got = readSync(fd, head, have, head.length - have, have);
      if (got === 0) throw refuse(`ends at byte ${have}, ${stat.size} were announced`, { size: stat.size });
      have += got;
    }
    return { head, size: stat.size };
  } finally {
    closeSync(fd);
  }
}

/** Opens a kernel or initrd. @throws KdumpError `kernel-file` or `initrd-file` that says why it cannot be opened. */
export function openForReading(role: 'kernel' | 'initrd', path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    const why =
      errno === 'ENOENT'
        ? 'no such file'
        : errno === 'EACCES'
          ? 'permission denied'
          : `cannot be opened: ${describeError(cause)}`;
    throw new KdumpError(`${role}-file`, `${role} ${path}: ${why}`, {
      ...(errno === 'EACCES' ? { fix: 'Run as root.' } : {}),
      facts: { path, errno },
      exitCode: exitCodes.failed,
      cause,
    });
  }
}

/** Size of an open file in bytes. */
export function sizeOf(fd: number): number {
  return fstatSync(fd).size;
}
