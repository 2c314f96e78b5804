import { KdumpError } from '../lib/errors.ts';
import { errnoText } from './errno.ts';
import { lastErrno, libc } from './ffi.ts';

/** Events of poll(2), asm-generic/poll.h. */
const events = { read: 0x1, write: 0x4 } as const;
const EINTR = 4;

/**
 * Waits until a file descriptor can be read or written without blocking; an error or an end of it counts, since the
 * next call then tells.
 * @returns false when nothing happened within `seconds`
 */
export function waitFor(fd: number, what: keyof typeof events, seconds: number): boolean {
  // struct pollfd: int fd; short events; short revents.
  const pollfd = Buffer.alloc(8);
  pollfd.writeInt32LE(fd, 0);
  pollfd.writeInt16LE(events[what], 4);
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const left = Math.max(0, Math.ceil(deadline - performance.now()));
    const ready = libc('int poll(uint8_t *fds, unsigned long nfds, int timeout)')(pollfd, 1, left) as number;
    if (ready >= 0) return ready > 0;
    const errno = lastErrno();
    if (errno !== EINTR)
      throw new KdumpError('poll-failed', `poll(2) of descriptor ${fd}: ${errnoText(errno)}`);
  }
}
