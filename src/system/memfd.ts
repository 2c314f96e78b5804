import { closeSync, writeSync } from 'node:fs';
import { KdumpError } from '../lib/errors.ts';
import { errnoName, errnoText } from './errno.ts';
import { lastErrno, libc } from './ffi.ts';

/** Constants of linux/memfd.h and linux/fcntl.h. */
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
/** Since Linux 6.3; where vm.memfd_noexec is 2, a file in memory must ask for it. */
const MFD_NOEXEC_SEAL = 8;
const F_DUPFD_CLOEXEC = 1030;
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const F_SEAL_WRITE = 8;
const EINVAL = 22;

/**
 * Makes a file in memory, has it filled, and seals it: nobody changes it any more, whatever happens to its descriptor.
 * @param name seen in /proc/PID/fd, nowhere else
 * @returns its descriptor, which the caller closes
 * @throws KdumpError `memfd` when the kernel refuses one, or memory runs out; and whatever `fill` throws
 */
export function writeMemfd(name: string, fill: (write: (bytes: Uint8Array) => void) => void): number {
  const fd = create(name);
  try {
    let size = 0;
    fill((bytes) => {
      writeAll(fd, bytes, size);
      size += bytes.length;
    });
    const fcntl = libc('int fcntl(int fd, int command, int argument)');
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) !== 0)
      throw refused('cannot be sealed', lastErrno());
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Another descriptor of an open file, for its own owner to close. @throws KdumpError `memfd` */
export function duplicate(fd: number): number {
  const fcntl = libc('int fcntl(int fd, int command, int argument)');
  const copy = Number(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (copy < 0)
    throw new KdumpError('descriptor', `descriptor ${fd} cannot be duplicated: ${errnoText(lastErrno())}`);
  return copy;
}

function create(name: string): number {
  const memfdCreate = libc('int memfd_create(const char *name, unsigned int flags)');
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let fd = Number(memfdCreate(name, flags | MFD_NOEXEC_SEAL));
  if (fd < 0 && lastErrno() === EINVAL) fd = Number(memfdCreate(name, flags));
  if (fd < 0) throw refused('cannot be made', lastErrno());
  return fd;
}

/** The descriptor's own position stays at the beginning, where a reader expects it. */
function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
    } catch (cause) {
      throw new KdumpError('memfd', `a file in memory cannot be written: ${(cause as Error).message}`, {
        fix: 'Free some memory.',
        cause,
      });
    }
  }
}

function refused(what: string, errno: number): KdumpError {
  return new KdumpError('memfd', `a file in memory ${what}: ${errnoText(errno)}`, {
    facts: { errno: errnoName(errno) },
  });
}
