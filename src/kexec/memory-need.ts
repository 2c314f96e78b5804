import { KdumpError } from '../lib/errors.ts';
import type { CrashMemory, MachineFacts } from './machine.ts';
import { purgatorySize } from './purgatory/purgatory.ts';
import { exitCodes, type ImageType, type Syscall } from './uapi.ts';

/** Bytes of memory, every part rounded up to pages. */
export type MemoryNeed = {
  /** init_size: the uncompressed kernel and what it uses before it knows the memory map. */
  readonly kernel: number;
  readonly initrd: number;
  /** ELF core header, for a crash kernel only. */
  readonly elfcorehdr: number;
  /** boot_params with the command line. */
  readonly boot_params: number;
  readonly purgatory: number;
  readonly total: number;
};

/** What is loaded, as far as its size goes; bytes. */
export type Sizes = {
  readonly init_size: number;
  readonly initrd: number;
  readonly commandLine: number;
};

const PAGE = 4096;
const MIB = 1024 * 1024;
/** "elfcorehdr=0x<16 digits> " that the kernel puts before the command line of a crash kernel; it asks for the room
 * in a normal load, too (MAX_ELFCOREHDR_STR_LEN in arch/x86/kernel/kexec-bzimage64.c). */
export const elfcorehdrRoom = 30;
/** The running kernel's own purgatory with its stack, as KEXEC_FILE_DEBUG reports it on 6.12. */
const KERNELS_PURGATORY = 0x5000;
/** struct boot_params; behind it the command line, and setup_data for EFI and the random seed (at least these). */
const BOOT_PARAMS = 4096;
const SETUP_DATA = 16 + 32 + 16 + 32;

const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
const mib = (bytes: number): string => `${Math.ceil((bytes / MIB) * 10) / 10} MiB`;

/**
 * What will certainly be placed in memory, so that a refusal is never wrong. It may be a little more: alignment, page
 * tables, EFI's memory map.
 * @param syscall who places it: the kernel sets more aside for an ELF core header that it updates than one takes.
 */
export function memoryNeed(
  type: ImageType,
  sizes: Sizes,
  machine: MachineFacts,
  syscall: Syscall,
): MemoryNeed {
  const byKernel = syscall === 'kexec_file_load';
  const elfcorehdr = (byKernel ? machine.crash.elfcorehdrSize : null) ?? elfcorehdrSize(machine);
  const parts = {
    kernel: pages(sizes.init_size),
    initrd: pages(sizes.initrd),
    elfcorehdr: type === 'crash' ? pages(elfcorehdr) : 0,
    boot_params: pages(BOOT_PARAMS + sizes.commandLine + 1 + elfcorehdrRoom + SETUP_DATA),
    purgatory: byKernel ? KERNELS_PURGATORY : purgatorySize,
  };
  return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
}

/** ELF header, a note for each possible CPU and for vmcoreinfo, the kernel's text, one segment for each RAM range. */
function elfcorehdrSize(machine: MachineFacts): number {
  return 64 + 56 * ((machine.possibleCpus ?? 1) + 2 + machine.ramRanges);
}

/** @throws KdumpError `crashkernel-too-small` or `image-too-large` when the kernel would refuse that much. */
export function checkMemoryNeed(
  needed: MemoryNeed,
  reserved: CrashMemory | null,
  machine: MachineFacts,
): void {
  const what = `${mib(needed.total)} (kernel ${mib(needed.kernel)}, initrd ${mib(needed.initrd)})`;
  if (reserved !== null && needed.total > reserved.size)
    throw new KdumpError(
      'crashkernel-too-small',
      `the crash kernel needs at least ${what}, crashkernel= has reserved ${mib(reserved.size)}`,
      {
        fix: 'Raise crashkernel= on the kernel command line and reboot, or make the initrd smaller.',
        facts: { ...needed, reserved: reserved.size },
        exitCode: exitCodes.failed,
      },
    );
  // sanity_check_segment_list() in kernel/kexec_core.c: for crash kernels, too.
  if (machine.memTotal !== null && needed.total > machine.memTotal / 2)
    throw new KdumpError(
      'image-too-large',
      `the new kernel needs at least ${what}; the kernel allows half of this machine's ${mib(machine.memTotal)}`,
      {
        fix: 'Make the initrd smaller, or give the machine more memory.',
        facts: { ...needed, memTotal: machine.memTotal },
        exitCode: exitCodes.failed,
      },
    );
}
