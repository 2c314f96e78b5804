import type { OptionSpec } from '../../lib/getopt.ts';

/** An option of ours, and of kexec-tools where its name is theirs. */
export type KexecOption = OptionSpec & {
  /** Only this system call can honour it. */
  readonly only?: 'kexec_load' | 'kexec_file_load';
  /** Known, so that it is refused with a reason and abbreviations stay the same. */
  readonly refused?: string;
};

const flags = (...names: readonly string[]): KexecOption[] => names.map((name) => ({ name }));

const multiboot = 'a Linux kernel is no multiboot image, and others are not loaded';
const entry64 = 'kernels are entered in 64-bit mode only';
const xen = 'Xen keeps its own images';

/** Every option, in the order of the help. */
export const kexecOptions: readonly KexecOption[] = [
  { name: 'help', short: 'h' },
  { name: 'help', long: [], short: '?' },
  { name: 'version', short: 'v' },
  { name: 'load-panic', short: 'p' },
  { name: 'load', short: 'l' },
  { name: 'unload', short: 'u' },
  { name: 'exec', short: 'e' },
  { name: 'now' },
  { name: 'force', short: 'f' },
  { name: 'status', short: 'S' },
  ...flags('print-ckr-size', 'load-jump-back-helper'),

  { name: 'initrd', long: ['initrd', 'ramdisk'], takesValue: true },
  { name: 'append', long: ['append', 'command-line'], takesValue: true },
  { name: 'reuse-cmdline' },
  { name: 'type', short: 't', takesValue: true },
  ...flags('hotplug', 'args-linux', 'args-elf', 'args-none'),

  { name: 'kexec-syscall-auto', short: 'a' },
  { name: 'kexec-file-syscall', short: 's' },
  { name: 'kexec-syscall', short: 'c' },
  { name: 'no-cma' },
  { name: 'force-dtb', only: 'kexec_file_load' },
  // What is always so.
  { name: 'elf64-core-headers' },

  { name: 'mem-min', takesValue: true, only: 'kexec_load' },
  { name: 'mem-max', takesValue: true, only: 'kexec_load' },
  { name: 'no-checks', short: 'i', only: 'kexec_load' },
  { name: 'entry', takesValue: true, only: 'kexec_load' },
  { name: 'serial', takesValue: true, only: 'kexec_load' },
  { name: 'serial-baud', takesValue: true, only: 'kexec_load' },
  ...flags(
    'load-preserve-context',
    'noefi',
    'pass-memmap-cmdline',
    'reuse-video-type',
    'reset-vga',
    'console-vga',
    'console-serial',
  ).map((option) => ({ ...option, only: 'kexec_load' as const })),

  { name: 'no-ifdown', short: 'x' },
  { name: 'no-sync', short: 'y' },
  { name: 'dry-run' },
  { name: 'root', takesValue: true },
  { name: 'keep-in', takesValue: true },
  { name: 'json' },
  { name: 'debug', short: 'd' },

  { name: 'reuseinitrd', refused: 'no kernel keeps its initrd in memory on x86: give --initrd' },
  { name: 'elf32-core-headers', refused: 'the ELF core header is 64-bit, as every kernel here wants it' },
  { name: 'real-mode', refused: entry64 },
  { name: 'entry-32bit', refused: entry64 },
  { name: 'module', takesValue: true, refused: multiboot },
  {
    name: 'dtb',
    takesValue: true,
    refused: 'a 64-bit kernel is told of devices by ACPI; --force-dtb hands on a device tree that is in use',
  },
  { name: 'load-live-update', refused: xen },
  { name: 'exec-live-update', refused: xen },
];
