import type { ImageType } from './uapi.ts';

/** How a vmlinux is told what it is given (--args-linux, --args-elf, --args-none). */
export type ElfArguments = 'linux' | 'elf' | 'none';

/** A serial port that the purgatory writes to. */
export type SerialPort = {
  /** First I/O port of the 8250, e.g. 0x3f8. */
  readonly port: number;
  /** Bits per second that it is set to; null: left as it is. */
  readonly baud: number | null;
};

/** What is asked for: the options of a load, whatever order they came in. */
export type LoadRequest = {
  readonly type: ImageType;
  /** --append, or null. */
  readonly append: string | null;
  /** Begin with the running kernel's command line. */
  readonly reuseCommandLine: boolean;
  /** Let the kernel log where it puts things, where it can. */
  readonly debug: boolean;
  /** --no-cma and --force-dtb: flags of kexec_file_load. */
  readonly noCma: boolean;
  readonly forceDtb: boolean;
  /** What only kexec_load, in which we decide where things go, takes notice of. */
  readonly placing: PlacingRequest;
};

export type PlacingRequest = {
  /** First and last physical address that segments may lie at (--mem-min, --mem-max). */
  readonly memMin: number;
  readonly memMax: number;
  /** The purgatory checks the digest of all segments before it jumps; false: --no-checks. */
  readonly checks: boolean;
  /** Address to start at instead of the purgatory's (--entry), or null. */
  readonly entry: number | null;
  /** Leave room for hotplugged CPUs and memory, and let the kernel update the ELF core header (--hotplug). */
  readonly hotplug: boolean;
  /** --load-preserve-context. */
  readonly preserveContext: boolean;
  /** Hand over EFI's run-time services; false: --noefi. */
  readonly efi: boolean;
  /** Give a crash kernel its memory map by memmap= on the command line instead of E820 (--pass-memmap-cmdline). */
  readonly memmapOnCommandLine: boolean;
  readonly reuseVideoType: boolean;
  /** null: told from the kernel. */
  readonly elfArguments: ElfArguments | null;
  readonly console: {
    readonly resetVga: boolean;
    readonly vga: boolean;
    readonly serial: boolean;
    /** --serial with --serial-baud; null: chosen from the new kernel's command line. */
    readonly port: SerialPort | null;
  };
};

/** What a load asks for when only its type is given. */
export const plainPlacing: PlacingRequest = {
  memMin: 0,
  memMax: Number.MAX_SAFE_INTEGER,
  checks: true,
  entry: null,
  hotplug: false,
  preserveContext: false,
  efi: true,
  memmapOnCommandLine: false,
  reuseVideoType: false,
  elfArguments: null,
  console: { resetVga: false, vga: false, serial: false, port: null },
};
