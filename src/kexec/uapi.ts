/** Numbers of the kexec interface between user space and the kernel (include/uapi/linux/kexec.h). */
export const kexecFileFlags = {
  KEXEC_FILE_UNLOAD: 0x01,
  KEXEC_FILE_ON_CRASH: 0x02,
  KEXEC_FILE_NO_INITRAMFS: 0x04,
  /** Known to kernels since 6.8; an older one answers EINVAL. */
  KEXEC_FILE_DEBUG: 0x08,
} as const;

export type KexecFileFlag = keyof typeof kexecFileFlags;

/** The word that the kernel takes for a set of flags. */
export function flagBits(flags: readonly KexecFileFlag[]): number {
  return flags.reduce((bits, flag) => bits | kexecFileFlags[flag], 0);
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
