import { readFileSync, writeFileSync } from 'node:fs';
import type { CaptureConfig } from './config.ts';
import type { CaptureLog } from './log.ts';
import type { CaptureMachine, CaptureTools } from './machine.ts';
import type { DumpReport } from './report.ts';

/** One capture under way: what every step of it is given, and what it leaves for the steps after it. */
export type Capture = {
  readonly config: CaptureConfig;
  readonly machine: CaptureMachine;
  readonly tools: CaptureTools;
  readonly log: CaptureLog;
  readonly report: DumpReport;
  /** Where the target is: its device, or the directory on which it was mounted for us; null until it is there. */
  device: string | null;
  directory: string | null;
};

/** Keeps the extremes of memory use; called often enough to see the collector's. */
export function sampleMemory({ machine, report }: Capture): void {
  const { total, available, peak } = machine.memory();
  const { memory } = report;
  memory.totalKiB = total;
  memory.lowestAvailableKiB = Math.min(memory.lowestAvailableKiB, available);
  memory.nodePeakKiB = Math.max(memory.nodePeakKiB, peak);
}

type State = { readonly step: string; readonly directory: string | null; readonly report: DumpReport };

/** In memory, for the run after this one. Losing it only costs detail. */
export function writeState({ machine, directory, report }: Capture, step: string): void {
  try {
    const state: State = { step, directory, report };
    writeFileSync(machine.stateFile, JSON.stringify(state), { mode: 0o600 });
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
