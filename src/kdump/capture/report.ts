/**
 * dump.json: what a dump directory holds and how it came about. The marker that is written first has the state
 * "incomplete"; only the last step of a capture replaces it.
 */
export type DumpState =
  /** vmcore is whole. */
  | 'complete'
  /** The capture is under way or was cut short; a vmcore-incomplete may be there. */
  | 'incomplete'
  /** There is no vmcore. */
  | 'failed';

export type CaptureError = {
  /** Step of the capture that failed. */
  readonly step: string;
  readonly code: string;
  readonly message: string;
  readonly fix?: string;
  readonly facts?: object;
};

/** What became of the dump on one target. */
export type TargetResult = {
  /** As it is named in the settings. */
  readonly target: string;
  readonly kind: string;
  /** skipped: there was no need to write a dump here, or no leave to. */
  state: DumpState | 'skipped';
  /** The dump's own, seen from the target's root; null when there is none. */
  directory: string | null;
  /** Name of the dump there. */
  file: string | null;
  /** Bytes that are there, and that a whole dump would have; null when nobody knows. */
  bytes: number | null;
  expected: number | null;
  /** Of the dump, hexadecimal; null when it was not computed. */
  sha256: string | null;
  seconds: number;
  /** Why there is no whole dump. */
  error: CaptureError | null;
};

export type HookResult = { readonly when: string; readonly program: string; readonly status: number | null };

export type DumpReport = {
  readonly format: 1;
  /** Of the dump in this very directory; of the dump wherever it is when this is a copy. */
  state: DumpState;
  /** The account only, on the file system of the machine itself: the dump is where `targets` says. */
  readonly copy?: true;
  /** Of kdumpctl test, when that made the crash. */
  readonly testId: string | null;
  readonly rehearsal: boolean;
  /** In the order in which they were tried. */
  readonly targets: TargetResult[];
  readonly hooks: HookResult[];
  /** Names of older dumps that were removed for this one. */
  removed: readonly string[];
  /** What the machine does when the capture is over. */
  action: string | null;
  readonly host: string;
  /** ISO 8601, UTC; from the crashed kernel where it says so, else the capture kernel's clock. */
  crashTime: string | null;
  /** Release of the crashed kernel, as its VMCOREINFO says. */
  kernelRelease: string | null;
  /** The line with which it died. */
  panic: string | null;
  /** What happened, in the one paragraph of report.json; null when there is no report. */
  summary: string | null;
  readonly captureKernelRelease: string;
  readonly collector: string;
  /** The collector's own report: pages kept and dropped by reason, bytes, … */
  report: unknown;
  /** Bytes of each file in the directory. */
  files: Record<string, number>;
  /** Wall time of each step, and the seconds since the capture kernel's boot at which it began. */
  readonly steps: { readonly name: string; readonly began: number; seconds: number }[];
  readonly memory: {
    /** Largest resident size of node in the capture kernel, KiB */
    nodePeakKiB: number;
    /** MemTotal of the capture kernel, KiB */
    totalKiB: number;
    /** Smallest MemAvailable seen, KiB */
    lowestAvailableKiB: number;
    /** Physical memory given to the capture kernel, bytes: crashkernel= less what the crashed kernel put there */
    systemRamBytes: number | null;
  };
  /** Free bytes on the target before the dump. */
  targetFreeBytes: number | null;
  readonly errors: CaptureError[];
};

/** Lines that end a kernel, the plainest first; within a kind the last one counts. */
const panicLines = [
  /Kernel panic - not syncing: .*/,
  /\b(BUG|Oops|kernel BUG at|general protection fault)\b.*/,
];

/** The line of a kernel's log that names the cause of death, without its time stamp; null when there is none. */
export function findPanicLine(dmesg: string): string | null {
  const lines = dmesg.split('\n');
  for (const pattern of panicLines) {
    const line = lines.findLast(
      (candidate) => pattern.test(candidate) && !candidate.includes('end Kernel panic'),
    );
    if (line !== undefined) return pattern.exec(line)![0].trim();
  }
  return null;
}

/** The same account in plain words, for the reader who finds no vmcore. */
export function describeFailure(report: DumpReport): string {
  const saved = Object.entries(report.files).map(([name, bytes]) => `  ${name} (${bytes} bytes)`);
  return [
    'The memory of the crashed kernel was not saved completely.',
    '',
    ...report.errors.flatMap((error) => [
      `Step "${error.step}" failed: ${error.message}`,
      ...(error.fix === undefined ? [] : [error.fix]),
      '',
    ]),
    saved.length === 0 ? 'Nothing else was saved.' : 'What was saved beside this file:',
    ...saved,
    '',
    ...(report.panic === null ? [] : [`The kernel ${report.kernelRelease ?? ''} died with: ${report.panic}`]),
    'The log of the capture is in kexec-dmesg.log, all facts are in dump.json.',
    '',
  ].join('\n');
}

/** Text of dump.json. */
export const toJson = (report: DumpReport): string => `${JSON.stringify(report, undefined, 2)}\n`;
