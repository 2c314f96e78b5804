import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { describeError, KdumpError } from '../../lib/errors.ts';
import { exitCodes } from '../uapi.ts';
import { FileContent } from './content.ts';

/**
 * Opens the file of a kernel or an initrd; the caller closes its descriptor.
 * @throws KdumpError `kernel-file` or `initrd-file`: missing, unreadable, no regular file, empty
 */
export function openImageFile(role: 'kernel' | 'initrd', path: string): FileContent {
  const refuse = (why: string): KdumpError =>
    new KdumpError(`${role}-file`, `${role} ${path}: ${why}`, {
      facts: { path },
      exitCode: exitCodes.failed,
    });
  const fd = openForReading(role, path);
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw refuse('is a directory');
    if (!stat.isFile()) throw refuse('is not a regular file');
    if (stat.size === 0) throw refuse('is empty');
    return new FileContent(fd, path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openForReading(role: 'kernel' | 'initrd', path: string): number {
  try {
    // Not to wait for the other end of a pipe.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
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
