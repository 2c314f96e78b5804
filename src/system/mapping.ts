import { statfsSync } from 'node:fs';
import { KdumpError } from '../lib/errors.ts';
import { koffi, lastErrno, libc } from './ffi.ts';

/** Constants of asm-generic/mman-common.h and mman.h. */
const PROT_NONE = 0;
const PROT_READ = 1;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
/** PROC_SUPER_MAGIC of linux/magic.h. */
const procMagic = 0x9fa0;

/**
 * A window through which one piece of a file after the other is seen, always at the same address: a view of memory is
 * expensive to make, and the garbage collector takes each for memory of that size.
 */
export class FileWindow {
  readonly address: number;
  /** Only what the last `move` mapped may be touched: anything else ends the process. */
  readonly bytes: Buffer;

  /**
   * Reserves address space, no memory.
   * @param length bytes, a multiple of the page size of the running kernel
   */
  constructor(length: number) {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    const address = mmap(0, length, PROT_NONE, flags, -1, 0);
    if (address === -1)
      throw new KdumpError('out-of-memory', `no address space of ${length} bytes to be had`);
    this.address = address;
    this.bytes = Buffer.from(koffi().view(BigInt(address), length));
  }

  /**
   * Maps [offset, offset + length) of an open file read-only and shared, at the beginning of the window.
   * @param offset a multiple of the page size of the running kernel, bytes
   * @returns 0, or the errno (positive) with which mmap(2) failed
   */
  move(fd: number, offset: number, length: number): number {
    const address = mmap(this.address, length, PROT_READ, MAP_SHARED | MAP_FIXED, fd, offset);
    return address === -1 ? lastErrno() : 0;
  }

  /** Gives the address space back. The caller holds no view any more. */
  close(): void {
    libc('int munmap(uintptr_t addr, size_t length)')(this.address, this.bytes.length);
  }
}

function mmap(
  address: number,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
): number {
  const call = libc(
    'intptr_t mmap(uintptr_t addr, size_t length, int prot, int flags, int fd, int64_t offset)',
  );
  return Number(call(address, length, protection, flags, fd, offset));
}

/** Whether a file lies in procfs: /proc/vmcore is far faster mapped than read, an ordinary file is not. */
export function isProcFile(path: string): boolean {
  return statfsSync(path).type === procMagic;
}
