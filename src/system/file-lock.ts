import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { KdumpError } from '../lib/errors.ts';
import { errnoName, errnoText } from './errno.ts';
import { lastErrno, libc } from './ffi.ts';

/** Operations of flock(2), asm-generic/fcntl.h. */
const LOCK_EX = 2;
const LOCK_NB = 4;
const retryMilliseconds = 100;

/** A lock that is held; the kernel lets it go when the process ends, whatever happened to it. */
export type FileLock = { release(): void };

/**
 * Takes an exclusive lock, and waits for it no longer than `seconds`.
 * @throws KdumpError `locked` when somebody else holds it all the time, `lock` when there can be none
 */
export function lockFile(path: string, seconds: number): FileLock {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (cause) {
    const denied = /^(EACCES|EPERM)$/.test((cause as NodeJS.ErrnoException).code ?? '');
    throw new KdumpError('lock', `${path} cannot be locked: ${(cause as Error).message}`, {
      ...(denied ? { fix: 'Run as root.' } : {}),
      cause,
    });
  }
  try {
    for (let tries = Math.ceil((seconds * 1000) / retryMilliseconds); !take(fd, path); tries--) {
      if (tries <= 0) throw heldByOther(path, seconds);
      pause(retryMilliseconds);
    }
    // For the one who waits: who is it that holds the lock?
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`, 0);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { release: () => closeSync(fd) };
}

function take(fd: number, path: string): boolean {
  if (libc('int flock(int fd, int operation)')(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = lastErrno();
  if (errno === osConstants.errno.EAGAIN || errno === osConstants.errno.EINTR) return false;
  throw new KdumpError('lock', `${path} cannot be locked (${errnoName(errno)}): ${errnoText(errno)}`);
}

function heldByOther(path: string, seconds: number): KdumpError {
  const pid = /^\d+$/.exec(readFileSync(path, 'utf8').trim())?.[0] ?? null;
  return new KdumpError(
    'locked',
    `${pid === null ? 'another process' : `process ${pid}`} has held ${path} for ${seconds} s`,
    { fix: 'Another kdumpctl is at work. Try again when it is done.', facts: { path, pid, seconds } },
  );
}

const pause = (milliseconds: number): unknown =>
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
