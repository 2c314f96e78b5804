/** Numbers of the kexec interface between user space and the kernel (include/uapi/linux/kexec.h). */
export const kexecFileFlags = {
  KEXEC_FILE_UNLOAD: 0x01,
  KEXEC_FILE_ON_CRASH: 0x02,
  KEXEC_FILE_NO_INITRAMFS: 0x04,
  /** Known to kernels since 6.8; an older one answers EINVAL. */
  KEXEC_FILE_DEBUG: 0x08,
  KEXEC_FILE_NO_CMA: 0x10,
  KEXEC_FILE_FORCE_DTB: 0x20,
} as const;

export type KexecFileFlag = keyof typeof kexecFileFlags;

/** Flags of kexec_load; the architecture of the image stands in bits 31..16. */
export const kexecLoadFlags = {
  KEXEC_ON_CRASH: 0x01,
  KEXEC_PRESERVE_CONTEXT: 0x02,
  /** The kernel may update the ELF core header when CPUs or memory come and go; known since 6.6. */
  KEXEC_UPDATE_ELFCOREHDR: 0x04,
  KEXEC_ARCH_X86_64: 62 << 16,
} as const;

export type KexecLoadFlag = keyof typeof kexecLoadFlags;

/** The two system calls, by the names that people know them by. */
export type Syscall = 'kexec_file_load' | 'kexec_load';

/** The word that the kernel takes for a set of flags of either call. */
export function flagBits(flags: readonly (KexecFileFlag | KexecLoadFlag)[]): number {
  const numbers: Readonly<Record<string, number>> = { ...kexecFileFlags, ...kexecLoadFlags };
  return flags.reduce((bits, flag) => bits | numbers[flag]!, 0);
}

/** Which of the kernel's two images is meant: the one for a panic, or the one for the next kexec reboot. */
export type ImageType = 'crash' | 'normal';

/** Exit codes of kexec-tools, as unsigned bytes (its EFAILED is -1, its EFALLBACK -3). */
export const exitCodes = {
  /** The load failed, or a file is not what it should be. */
  failed: 255,
  /** kexec_file_load cannot do it, the older kexec_load might. */
  fileModeUnavailable: 253,
} as const;
