import { readFileSync, writeFileSync } from 'node:fs';
import type { CaptureConfig, CaptureTarget } from './config.ts';
import type { CaptureLog } from './log.ts';
import type { CaptureMachine, CaptureTools } from './machine.ts';
import type { DumpReport, TargetResult } from './report.ts';
import type { Target } from './targets/target.ts';

/** One capture under way: what every step of it is given, and what it leaves for the steps after it. */
export type Capture = {
  readonly config: CaptureConfig;
  readonly machine: CaptureMachine;
  readonly tools: CaptureTools;
  readonly log: CaptureLog;
  readonly report: DumpReport;
  /** Seconds since boot by which the dump must be over; null: no bound. */
  readonly deadline: number | null;
  /** Which target is tried: an index of settings.targets, behind them the root file system; -1 before the first. */
  current: number;
  /** That target, once it was reached; and the dump's directory there. */
  target: Target | null;
  directory: string | null;
  /** The dump is not to be written: a program before it said so, or it has ended a run of the capture already. */
  collects: boolean;
  /** A program before the dump has said that there is to be none. */
  refused: boolean;
  /** The dump is whole, on one target. */
  saved: boolean;
  /** The end was written down on a target. */
  recorded: boolean;
};

/** Every place that a dump may go to: the targets, then the root file system when the failure action names it. */
export const places = ({ targets, rootfs }: CaptureConfig): readonly CaptureTarget[] =>
  rootfs === null ? targets : [...targets, rootfs];

/** The account of the target that is tried. */
export const currentResult = ({ report, current }: Capture): TargetResult => report.targets[current]!;

export const isOver = ({ machine, deadline }: Capture): boolean =>
  deadline !== null && machine.uptime() >= deadline;

/** Init looks every few seconds. */
const shortestPromise = 10;

/** While the dump is written: a sign of life within so many seconds, and before the deadline. */
export function promiseToWrite({ machine, deadline }: Capture, seconds: number): void {
  const left = deadline === null ? seconds : deadline - machine.uptime();
  machine.promise(Math.max(shortestPromise, Math.min(seconds, left)));
}

/** Keeps the extremes of memory use; called often enough to see the collector's. */
export function sampleMemory({ machine, report }: Capture): void {
  const { total, available, peak } = machine.memory();
  const { memory } = report;
  memory.totalKiB = total;
  memory.lowestAvailableKiB = Math.min(memory.lowestAvailableKiB, available);
  memory.nodePeakKiB = Math.max(memory.nodePeakKiB, peak);
}

type Kept = Pick<Capture, 'deadline' | 'current' | 'directory' | 'refused' | 'saved' | 'report'>;
export type State = Kept & { readonly step: string };

/** In memory, for the run after this one. Losing it only costs detail. */
export function writeState(capture: Capture, step: string): void {
  const { deadline, current, directory, refused, saved, report } = capture;
  const state: State = { step, deadline, current, directory, refused, saved, report };
  try {
    writeFileSync(capture.machine.stateFile, JSON.stringify(state), { mode: 0o600 });
  } catch {
    // The capture kernel's memory is full: all that is left goes to the capture itself.
  }
}

export function readState(path: string): State | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as State;
  } catch {
    return undefined;
  }
}
