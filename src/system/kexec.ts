import { layout, writeStruct } from '../lib/layout.ts';
import { addressOf, lastErrno, libc } from './ffi.ts';

/** Result of a system call that only succeeds or fails; errno is positive. */
export type CallResult = { readonly ok: true } | { readonly ok: false; readonly errno: number };

export const ENOSYS = 38;

/** System call numbers by node's name of the architecture. libc has no wrapper for either call. */
export const syscallNumbers: Readonly<
  Record<string, { readonly kexec_load: number; readonly kexec_file_load: number }>
> = {
  // arch/x86/entry/syscalls/syscall_64.tbl
  x64: { kexec_load: 246, kexec_file_load: 320 },
  // include/uapi/asm-generic/unistd.h
  arm64: { kexec_load: 104, kexec_file_load: 294 },
  riscv64: { kexec_load: 104, kexec_file_load: 294 },
  loong64: { kexec_load: 104, kexec_file_load: 294 },
  // arch/powerpc and arch/s390: kernel/syscalls/syscall.tbl
  ppc64: { kexec_load: 268, kexec_file_load: 382 },
  s390x: { kexec_load: 277, kexec_file_load: 381 },
};

/**
 * kexec_file_load(2): the kernel reads both files itself and does the rest.
 * @param initrdFd ignored by the kernel when flags say that there is no initramfs.
 * @param commandLine without a terminating NUL, which is added and counted here.
 * @param flags KEXEC_FILE_* of linux/kexec.h.
 */
export function kexecFileLoad(
  kernelFd: number,
  initrdFd: number,
  commandLine: string,
  flags: number,
): CallResult {
  const number = syscallNumbers[process.arch]?.kexec_file_load;
  if (number === undefined) return { ok: false, errno: ENOSYS };
  const text = Buffer.from(`${commandLine}\0`, 'utf8');
  // A fixed prototype: every argument is a whole register, so descriptors of -1 are sign-extended as the kernel wants.
  const syscall = libc(
    'long syscall(long number, long kernel_fd, long initrd_fd, unsigned long cmdline_len, const uint8_t *cmdline, unsigned long flags)',
  );
  return resultOf(syscall(number, kernelFd, initrdFd, text.length, text, flags));
}

/** One destination in memory: `bytes` are copied to physical address `mem` and followed by zeros up to `memsz` bytes. */
export type KexecSegment = { readonly bytes: Uint8Array; readonly mem: number; readonly memsz: number };

/** struct kexec_segment of linux/kexec.h on a 64-bit machine. */
export const kexecSegmentLayout = layout('kexec_segment', 32, {
  buf: [0, 'a64'],
  bufsz: [8, 'u64'],
  mem: [16, 'u64'],
  memsz: [24, 'u64'],
});

/** The segments as the kernel reads them. The addresses hold for as long as the segments' buffers are reachable. */
export function packSegments(segments: readonly KexecSegment[]): Uint8Array {
  const packed = new Uint8Array(segments.length * kexecSegmentLayout.size);
  for (const [i, { bytes, mem, memsz }] of segments.entries())
    writeStruct(kexecSegmentLayout, packed, i * kexecSegmentLayout.size, {
      buf: bytes.length === 0 ? 0n : BigInt(addressOf(bytes)),
      bufsz: bytes.length,
      mem,
      memsz,
    });
  return packed;
}

/** Buffers whose addresses the kernel has been given; what is in here cannot be collected during the call. */
const held = new Set<readonly KexecSegment[]>();

/**
 * kexec_load(2): the caller has decided where everything goes. No segments unloads.
 * @param entry physical address of the first instruction.
 * @param flags KEXEC_* of linux/kexec.h with the architecture in bits 31..16.
 */
export function kexecLoad(entry: number, segments: readonly KexecSegment[], flags: number): CallResult {
  const number = syscallNumbers[process.arch]?.kexec_load;
  if (number === undefined) return { ok: false, errno: ENOSYS };
  const syscall = libc(
    'long syscall(long number, unsigned long entry, unsigned long nr_segments, const uint8_t *segments, unsigned long flags)',
  );
  held.add(segments);
  try {
    const packed = segments.length === 0 ? null : packSegments(segments);
    return resultOf(syscall(number, entry, segments.length, packed, flags));
  } finally {
    held.delete(segments);
  }
}

function resultOf(returned: unknown): CallResult {
  return Number(returned) === 0 ? { ok: true } : { ok: false, errno: lastErrno() };
}
