/**
 * What the capture flow needs of the machine it runs on, and what it needs of the collector. Both are handed in, so that
 * a test can stand in for a crashed machine.
 */
export type MemorySample = {
  /** MemTotal and MemAvailable, KiB */
  readonly total: number;
  readonly available: number;
  /** Largest resident size of this process so far (VmHWM), KiB */
  readonly peak: number;
};

export type CaptureMachine = {
  /** /proc/vmcore */
  readonly vmcore: string;
  /** Where the target gets mounted. */
  readonly mountPoint: string;
  /** Kept in memory: how far the flow has come, for the run after a failed one. */
  readonly stateFile: string;
  /** Kept in memory: everything that was said so far, by init as well. */
  readonly logFile: string;
  /** Release of the capture kernel. */
  readonly release: string;
  /** Physical memory that the capture kernel was given, bytes. */
  systemRam(): number | null;
  /** Seconds since the capture kernel's boot. */
  uptime(): number;
  now(): Date;
  /** Blocks for so many seconds. */
  sleep(seconds: number): void;
  /** Shows one line to whoever watches the machine. */
  print(line: string): void;
  /** Path of the device that a specification names, as soon as it is there. */
  findDevice(device: string): string | undefined;
  mount(device: string, fstype: string, options: string): void;
  isMounted(): boolean;
  unmount(): void;
  memory(): MemorySample;
  /** The capture kernel's own log. */
  kernelLog(): string;
  /** Promises a sign of life within so many seconds; init ends the capture when the promise is broken. */
  promise(seconds: number): void;
};

export type CollectHooks = {
  progress(label: string, done: number, total: number): void;
  message(text: string): void;
};

export type CaptureTools = {
  /** The crashed kernel's log, a byte of it a character (Latin-1). */
  extractDmesg(vmcore: string): string;
  /** makedumpfile with these arguments; gives back its report as plain JSON. */
  collect(argv: readonly string[], hooks: CollectHooks): unknown;
};
