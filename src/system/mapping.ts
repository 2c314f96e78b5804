import { statfsSync } from 'node:fs';
import { koffi, lastErrno, libc } from './ffi.ts';

/** PROT_READ, MAP_SHARED of asm-generic/mman-common.h. */
const PROT_READ = 1;
const MAP_SHARED = 1;
/** PROC_SUPER_MAGIC of linux/magic.h. */
const procMagic = 0x9fa0;

/** A read-only view of a piece of a file in memory. */
export type Mapping = {
  readonly address: number;
  readonly length: number;
  /** Touching it after `unmapFile` ends the process. */
  readonly bytes: Buffer;
};

/**
 * Maps [offset, offset + length) of an open file read-only and shared.
 * @param offset a multiple of the page size of the running kernel, bytes
 * @returns the mapping, or the errno (positive) with which mmap(2) failed
 */
export function mapFile(fd: number, offset: number, length: number): Mapping | number {
  const mmap = libc(
    'intptr_t mmap(uintptr_t addr, size_t length, int prot, int flags, int fd, int64_t offset)',
  );
  const address = Number(mmap(0, length, PROT_READ, MAP_SHARED, fd, offset));
  if (address === -1) return lastErrno();
  return { address, length, bytes: Buffer.from(koffi().view(BigInt(address), length)) };
}

/** Undoes `mapFile`. The caller holds no view of the mapping any more. */
export function unmapFile(mapping: Mapping): void {
  libc('int munmap(uintptr_t addr, size_t length)')(mapping.address, mapping.length);
}

/** Whether a file lies in procfs: /proc/vmcore is far faster mapped than read, an ordinary file is not. */
export function isProcFile(path: string): boolean {
  return statfsSync(path).type === procMagic;
}
