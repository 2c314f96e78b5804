import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { syncDirectory, writeFileDurably } from '../../system/durable.ts';
import { type CaptureConfig, isMountedTarget } from './config.ts';
import { type Capture, readState, sampleMemory, writeState } from './context.ts';
import { explainStatus, toCaptureError } from './failures.ts';
import { openCaptureLog } from './log.ts';
import type { CaptureMachine, CaptureTools } from './machine.ts';
import { type DumpReport, describeFailure, toJson } from './report.ts';
import { dmesgName, reserveName, type Step, savingSteps, smallFileBound, targetSteps } from './steps.ts';
import { readVmcoreinfo } from './vmcore.ts';

/**
 * The capture, in the crash kernel: a list of steps, each with a bound. What is small goes first (a marker, the crashed
 * kernel's log), then the dump; whatever happens on the way, the end writes down how it went, beside what was saved.
 */
export type CaptureOutcome = {
  readonly report: DumpReport;
  /** The dump directory; null when the target could not be reached. */
  readonly directory: string | null;
  /** The end was written to the target. When not, a second attempt may still help. */
  readonly recorded: boolean;
};

/** Runs the whole capture; never throws for what goes wrong on the way: that is in the report. */
export function runCapture(
  config: CaptureConfig,
  machine: CaptureMachine,
  tools: CaptureTools,
): CaptureOutcome {
  const log = openCaptureLog(machine);
  const capture: Capture = {
    config,
    machine,
    tools,
    log,
    report: newReport(config, machine),
    device: null,
    directory: null,
  };
  identifyCrash(capture);
  runSteps(capture, [...targetSteps(config), ...savingSteps]);
  return end(capture);
}

/**
 * Runs after a capture that was killed or broke off: keeps what it left and writes down why it ended.
 * @param status exit status of the capture as a shell has it: 128 + signal when it was killed
 */
export function runAfterFailure(
  status: number,
  config: CaptureConfig,
  machine: CaptureMachine,
  tools: CaptureTools,
): CaptureOutcome {
  const log = openCaptureLog(machine);
  const left = readState(machine.stateFile);
  const report = left?.report ?? newReport(config, machine);
  const capture: Capture = {
    config,
    machine,
    tools,
    log,
    report,
    device: null,
    directory: left?.directory ?? null,
  };
  report.errors.push(explainStatus(status, left?.step ?? 'start', log.text(), machine.kernelLog()));
  log.say(report.errors.at(-1)!.message);
  if (left === undefined) identifyCrash(capture);

  const steps: Step[] = [...targetSteps(config)];
  if (capture.directory === null) steps.push(...savingSteps.filter(({ name }) => name === 'directory'));
  const hasDmesg = capture.directory !== null && existsSync(join(capture.directory, dmesgName));
  // What has ended a capture once is not tried again.
  if (!hasDmesg && left?.step !== 'dmesg') steps.push(...savingSteps.filter(({ name }) => name === 'dmesg'));
  runSteps(capture, steps);
  return end(capture);
}

function runSteps(capture: Capture, steps: readonly Step[]): void {
  for (const step of steps) {
    if (!runStep(capture, step) && step.essential) return;
  }
}

/** @returns whether the step went well; the error of one that did not is in the report. */
function runStep(capture: Capture, step: Step): boolean {
  const { machine, report, log } = capture;
  const began = machine.uptime();
  const entry = { name: step.name, began: round(began), seconds: 0 };
  report.steps.push(entry);
  machine.promise(step.bound);
  writeState(capture, step.name);
  try {
    step.run(capture);
    return true;
  } catch (error) {
    const failure = toCaptureError(step.name, error);
    report.errors.push(failure);
    log.say(`${step.name} failed: ${failure.message}`);
    if (failure.fix !== undefined) log.say(failure.fix);
    return false;
  } finally {
    entry.seconds = round(machine.uptime() - began);
    sampleMemory(capture);
  }
}

function newReport(config: CaptureConfig, machine: CaptureMachine): DumpReport {
  return {
    format: 1,
    state: 'incomplete',
    host: config.host,
    crashTime: null,
    kernelRelease: null,
    panic: null,
    captureKernelRelease: machine.release,
    collector: config.coreCollector.join(' '),
    report: null,
    files: {},
    steps: [],
    memory: {
      nodePeakKiB: 0,
      totalKiB: 0,
      lowestAvailableKiB: Number.MAX_SAFE_INTEGER,
      systemRamBytes: machine.systemRam(),
    },
    targetFreeBytes: null,
    errors: [],
  };
}

/** Who crashed, and when. Without an answer the capture goes on: the collector has its own say about a bad vmcore. */
function identifyCrash({ machine, report, log }: Capture): void {
  try {
    if (!existsSync(machine.vmcore))
      throw new KdumpError(
        'no-vmcore',
        `${machine.vmcore} does not exist: this kernel was not started by a crash`,
        {
          fix: 'Load the image as a crash kernel: kexec -p.',
        },
      );
    const info = readVmcoreinfo(machine.vmcore);
    report.kernelRelease = info?.osrelease ?? null;
    const seconds = info?.crashTime;
    if (seconds !== undefined) report.crashTime = new Date(seconds * 1000).toISOString();
    log.say(
      `the crashed kernel is ${report.kernelRelease ?? 'unknown'}, it crashed at ${report.crashTime ?? 'an unknown time'}`,
    );
  } catch (error) {
    report.errors.push(toCaptureError('identify', error));
    log.say(`the crashed kernel cannot be identified: ${report.errors.at(-1)!.message}`);
  }
}

/** Writes down how it went, in order of worth: each file is tried, whatever happened to the one before. */
function end(capture: Capture): CaptureOutcome {
  const { config, machine, report, log, directory } = capture;
  const reached =
    directory !== null && capture.device !== null && machine.isMounted() && existsSync(directory);
  if (!reached) {
    log.say('nothing could be written to the target');
    return { report, directory: null, recorded: false };
  }
  machine.promise(smallFileBound);
  writeState(capture, 'record');
  attempt(capture, 'record', () => rmSync(join(directory, reserveName), { force: true }));
  report.files = listFiles(directory);
  if (report.state !== 'complete')
    report.state = 'vmcore-incomplete' in report.files ? 'incomplete' : 'failed';
  const failed = join(directory, 'vmcore-failed.txt');
  if (report.state !== 'complete')
    attempt(capture, 'record', () => writeFileDurably(failed, describeFailure(report)));
  log.say(`capture ${report.state}`);
  attempt(capture, 'log', () =>
    writeFileDurably(
      join(directory, 'kexec-dmesg.log'),
      `${log.text()}\n--- log of the capture kernel ---\n${machine.kernelLog()}`,
    ),
  );
  const recorded = attempt(capture, 'record', () => {
    report.files = listFiles(directory);
    writeFileDurably(join(directory, 'dump.json'), toJson(report));
    syncDirectory(dirname(directory));
  });
  if (!isMountedTarget(config.target)) {
    machine.promise(smallFileBound);
    const unmounted = attempt(capture, 'unmount', () => machine.unmount());
    if (unmounted) log.say('the target is unmounted');
  }
  return { report, directory, recorded };
}

function attempt(capture: Capture, step: string, action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    const failure = toCaptureError(step, error);
    capture.report.errors.push(failure);
    capture.log.say(`${step} failed: ${failure.message}`);
    return false;
  }
}

function listFiles(directory: string): Record<string, number> {
  const names = readdirSync(directory).filter((name) => name !== 'dump.json' && name !== reserveName);
  return Object.fromEntries(names.sort().map((name) => [name, statSync(join(directory, name)).size]));
}

const round = (seconds: number): number => Math.round(seconds * 100) / 100;
