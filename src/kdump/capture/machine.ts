import type { ByteStream } from '../../dump/output/byte-stream.ts';
import type { Beside } from '../../system/beside.ts';
import type { NetworkPlan } from '../network/network-plan.ts';
import type { FinalAction } from './actions.ts';
import type { BootParameters } from './boot-parameters.ts';
import type { Retention } from './config.ts';
import type { ReportBounds } from './crash-report.ts';
import type { Ended } from './run-bounded.ts';

/**
 * What the capture flow needs of the machine it runs on, and what it needs of the rooms that read dumps. Both are handed in, so that
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
  /** What the kernel's command line says; the vmcore is /proc/vmcore but in a rehearsal. */
  readonly boot: BootParameters;
  /** Where targets get mounted. */
  readonly mountPoint: string;
  /** Kept in memory: how far the flow has come, for the run after a failed one. */
  readonly stateFile: string;
  /** Kept in memory: everything that was said so far, by init as well. */
  readonly logFile: string;
  /** Kept in memory: the report, for every target that is tried. */
  readonly reportDirectory: string;
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
  mount(source: string, directory: string, fstype: string, options: string): void;
  isMounted(directory: string): boolean;
  unmount(directory: string): void;
  /** Without waiting for a server that does not answer. */
  unmountByForce(directory: string): void;
  memory(): MemorySample;
  /** The capture kernel's own log. */
  kernelLog(): string;
  /** Promises a sign of life within so many seconds; init ends the capture when the promise is broken. Feeds the watchdog. */
  promise(seconds: number): void;
  /** Stops the hardware watchdog: from here on init looks after the machine. */
  stopWatchdog(): void;
  /** Tells init what to do in the end. */
  setAction(action: FinalAction): void;
  /** Runs a program to its end, or ends it after so many seconds. @throws KdumpError `no-program`, `timed-out` */
  run(program: string, args: readonly string[], seconds: number, input?: Uint8Array): Ended;
  /** Starts a program that is fed through a pipe while this process works on. */
  feed(program: string, args: readonly string[]): Beside;
  /** Starts a program that goes on by itself. */
  start(program: string, args: readonly string[]): void;
  /** A shell on the console, until whoever sits there leaves it. */
  shell(): void;
  bringUpNetwork(plan: NetworkPlan, say: (line: string) => void): void;
  /** Sends JSON to a URL. */
  post(url: string, json: string, seconds: number): Promise<void>;
};

export type CollectHooks = {
  progress(label: string, done: number, total: number): void;
  message(text: string): void;
};

/** What a collector is told beside its own options. */
export type CollectTo = {
  /** Takes the dump as a flattened stream, whatever output the arguments name. */
  readonly stream?: ByteStream | undefined;
  /** Size at which the dump counts as full, bytes. */
  readonly limit?: number | undefined;
};

export type CaptureTools = {
  /** The crashed kernel's log, a byte of it a character (Latin-1). */
  extractDmesg(vmcore: string): string;
  /**
   * Writes the files of a report into a directory.
   * @param meanwhile called several times a second
   */
  makeReport(vmcore: string, directory: string, bounds: ReportBounds, meanwhile: () => void): void;
  /** makedumpfile with these arguments; gives back its report as plain JSON. */
  collect(argv: readonly string[], hooks: CollectHooks, to: CollectTo): unknown;
  /** Removes the dumps below a directory that the rules do not keep. @returns their names */
  retain(directory: string, retention: Retention, now: Date): readonly string[];
};
