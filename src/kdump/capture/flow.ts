import type { FinalAction } from './actions.ts';
import type { CaptureConfig } from './config.ts';
import { type Capture, isOver, type State as Kept, readState, sampleMemory, writeState } from './context.ts';
import { explainStatus } from './failures.ts';
import { openCaptureLog } from './log.ts';
import type { CaptureMachine, CaptureTools } from './machine.ts';
import type { CaptureError, DumpReport } from './report.ts';
import { type State, type StateName, states } from './states.ts';
import { actionOf, fail } from './steps/recording.ts';

/** The capture, in the crash kernel: it goes through the table of states, whatever fails on the way. */
export type CaptureOutcome = {
  readonly report: DumpReport;
  /** The dump directory on the target that has the account; null when none could be reached. */
  readonly directory: string | null;
  /** The end was written to a target. When not, a second attempt may still help. */
  readonly recorded: boolean;
  readonly action: FinalAction;
};

/** Runs the whole capture; never throws for what goes wrong on the way: that is in the report. */
export async function runCapture(
  config: CaptureConfig,
  machine: CaptureMachine,
  tools: CaptureTools,
): Promise<CaptureOutcome> {
  return goThrough(newCapture(config, machine, tools), 'identify');
}

/**
 * Runs after a capture that was killed or broke off: keeps what it left and writes down why it ended. A target that took
 * nothing any more is left, and the next one is tried.
 * @param status exit status of the capture as a shell has it: 128 + signal when it was killed
 */
export async function runAfterFailure(
  status: number,
  config: CaptureConfig,
  machine: CaptureMachine,
  tools: CaptureTools,
): Promise<CaptureOutcome> {
  const left = readState(machine.stateFile);
  const inReport = left?.step === 'report';
  // Whatever it was in the report that ended the capture, it is not tried again.
  const capture = newCapture(inReport ? { ...config, report: false } : config, machine, tools, left);
  const { report, log } = capture;
  const cause = explainStatus(status, left?.step ?? 'start', log.text(), machine.kernelLog());
  report.errors.push(cause);
  log.say(cause.message);
  const result = report.targets[capture.current];
  if (inReport && cause.code !== 'stalled') {
    // No target is to blame: the dump goes where it was to go.
    capture.collects = !capture.refused && !isOver(capture);
    return goThrough(capture, 'reach');
  }
  if (result !== undefined && !capture.saved) result.error = cause;
  capture.collects = left !== undefined && mayGoOn(capture, cause);
  if (left === undefined) return goThrough(capture, 'identify');
  if (late.includes(left.step)) return goThrough(capture, 'record');
  if (!capture.collects && capture.current >= 0) return goThrough(capture, 'reach');
  // The target that took nothing may still be mounted, and would be taken for the next one.
  machine.unmountByForce(machine.mountPoint);
  capture.directory = null;
  return goThrough(capture, 'next');
}

/** What comes after the dump is not tried again: only the account is missing. */
const late = [
  'seal',
  'checksum',
  'retain',
  'post',
  'emergency',
  'rootfs',
  'shell',
  'notify',
  'record',
  'home',
  'leave',
];

/** Whether another target is to be tried: it was this one that took nothing, or none was tried yet; and there is time. */
function mayGoOn(capture: Capture, { code }: CaptureError): boolean {
  const { config, current, saved, refused } = capture;
  const isAtFault = code === 'stalled' || current < 0;
  return isAtFault && !saved && !refused && !isOver(capture) && current + 1 < config.targets.length;
}

function newCapture(
  config: CaptureConfig,
  machine: CaptureMachine,
  tools: CaptureTools,
  left?: Kept,
): Capture {
  const { captureSeconds } = config;
  return {
    config,
    machine,
    tools,
    log: openCaptureLog(machine),
    report: left?.report ?? newReport(config, machine),
    deadline: left?.deadline ?? (captureSeconds === null ? null : machine.uptime() + captureSeconds),
    current: left?.current ?? -1,
    target: null,
    directory: left?.directory ?? null,
    collects: true,
    refused: left?.refused ?? false,
    saved: left?.saved ?? false,
    recorded: false,
  };
}

/** More than any road through the table has, even with every target that there can be. */
const mostSteps = 1000;

async function goThrough(capture: Capture, from: StateName): Promise<CaptureOutcome> {
  const { machine, report } = capture;
  let name = from;
  for (let count = 0; name !== 'end' && count < mostSteps; count++) {
    const state: State = states[name];
    const went = state.when?.(capture) === false || (await runState(capture, name, state));
    const following = went ? state.ok : (state.failed ?? state.ok);
    name = typeof following === 'string' ? following : following(capture);
  }
  const action = actionOf(capture);
  machine.stopWatchdog();
  machine.setAction(action);
  return { report, directory: capture.directory, recorded: capture.recorded, action };
}

/** Steps that every road has and that say nothing. */
const silent: readonly StateName[] = ['next', 'record', 'leave', 'seal', 'rootfs', 'room', 'resume'];

/** @returns whether the step went well; the error of one that did not is in the report. */
async function runState(capture: Capture, name: StateName, state: State): Promise<boolean> {
  const { machine, report } = capture;
  const began = machine.uptime();
  const entry = { name, began: round(began), seconds: 0 };
  if (!silent.includes(name)) report.steps.push(entry);
  machine.promise(state.bound);
  writeState(capture, name);
  try {
    await state.run(capture);
    return true;
  } catch (error) {
    const failure = fail(capture, name, error);
    if (state.failed !== undefined) blameTarget(capture, failure);
    return false;
  } finally {
    entry.seconds = round(machine.uptime() - began);
    sampleMemory(capture);
  }
}

/** The target does not get the dump for this reason. */
function blameTarget({ report, current }: Capture, failure: CaptureError): void {
  const result = report.targets[current];
  if (result === undefined) return;
  result.error = failure;
  if (result.bytes === null) result.state = 'failed';
}

function newReport(config: CaptureConfig, machine: CaptureMachine): DumpReport {
  return {
    format: 1,
    state: 'incomplete',
    testId: machine.boot.testId,
    rehearsal: machine.boot.rehearsal,
    targets: [],
    hooks: [],
    removed: [],
    action: null,
    host: config.host,
    crashTime: null,
    kernelRelease: null,
    panic: null,
    summary: null,
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

const round = (seconds: number): number => Math.round(seconds * 100) / 100;
