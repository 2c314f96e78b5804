/** What a segment of a load by kexec_load is. */
export type SegmentName =
  | 'kernel'
  | 'initrd'
  /** boot_params with the command line, the EFI memory map and setup_data behind it. */
  | 'boot_params'
  | 'purgatory'
  | 'elfcorehdr'
  /** Room for the first 640 KiB, which the purgatory saves before the crash kernel uses them. */
  | 'backup'
  /** Memory that the next kernel may use and the running one gets back (KEXEC_PRESERVE_CONTEXT). */
  | 'preserved';

/** One destination in memory: `bytes`, and zeros behind them up to `memsz`. */
export type Segment = {
  readonly name: SegmentName;
  readonly bytes: Uint8Array;
  /** Physical address and bytes, both multiples of the page size. */
  readonly mem: number;
  readonly memsz: number;
  /** The purgatory's digest covers it. Not so: the purgatory itself, and what changes while it is loaded. */
  readonly verified: boolean;
};
