import { libc } from './ffi.ts';

/**
 * Reserves the blocks of [offset, offset + length) of an open file, which then read as zeros.
 * @returns whether the file system did it; not every one can, and a caller must live without.
 */
export function preallocate(fd: number, offset: number, length: number): boolean {
  if (length === 0) return true;
  return libc('int fallocate(int fd, int mode, int64_t offset, int64_t len)')(fd, 0, offset, length) === 0;
}
