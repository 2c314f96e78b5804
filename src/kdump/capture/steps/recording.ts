import { type Capture, currentResult, places } from '../context.ts';
import { toCaptureError } from '../failures.ts';
import { type CaptureError, describeFailure, toJson } from '../report.ts';
import { openTarget } from '../targets/open-target.ts';
import type { Target } from '../targets/target.ts';
import { testStatus, testStatusName } from '../test-handshake.ts';
import { smallFileBound } from './bounds.ts';

/** What comes last on a target: how it went, beside what was saved. */

/** Errors of a target that answers no more: whatever else is sent there costs only time. */
const gone: readonly string[] = ['EIO', 'ETIMEDOUT', 'ESTALE', 'EHOSTDOWN', 'ssh', 'stalled', 'timed-out'];

/**
 * Writes down how it went, in order of worth: each file is tried, whatever happened to the one before.
 * @returns whether the account is there
 */
export function recordOn(capture: Capture, target: Target): boolean {
  const { machine, report, log } = capture;
  let answers = true;
  const attempt = (action: () => void): boolean => {
    if (!answers) return false;
    machine.promise(smallFileBound);
    try {
      action();
      return true;
    } catch (error) {
      const failure = fail(capture, 'record', error);
      answers = !gone.includes(failure.code);
      return false;
    }
  };
  attempt(() => target.makeRoom());
  attempt(() => {
    report.files = target.files();
  });
  if (report.state !== 'complete')
    report.state = Object.keys(report.files).some((name) => name.startsWith('vmcore-incomplete'))
      ? 'incomplete'
      : 'failed';
  if (report.state !== 'complete')
    attempt(() => target.writeFile('vmcore-failed.txt', describeFailure(report)));
  log.say(`capture ${report.state} on ${target.name}`);
  attempt(() => target.writeFile(captureLogName, captureLog(capture)));
  const recorded = attempt(() => {
    const { 'dump.json': _, ...files } = target.files();
    report.files = files;
    target.writeFile('dump.json', toJson(report));
  });
  const { testId } = machine.boot;
  if (testId !== null && report.state === 'complete')
    attempt(() => target.writeFile(testStatusName, testStatus('success', testId)));
  return recorded;
}

export const captureLogName = 'kexec-dmesg.log';
/** Everything that the capture and its kernel have said. */
export const captureLog = ({ log, machine }: Capture): string =>
  `${log.text()}\n--- log of the capture kernel ---\n${machine.kernelLog()}`;

/** The target that the account goes to: the one in use, or the last that has a directory of this dump. */
export function record(capture: Capture): void {
  const { config, report, log } = capture;
  report.action = actionOf(capture);
  if (capture.target === null || capture.directory === null) {
    const place = report.targets.findLastIndex((result) => result?.directory != null);
    if (place < 0) {
      log.say('nothing could be written to any target');
      return;
    }
    leave(capture);
    capture.current = place;
    capture.directory = currentResult(capture).directory;
    report.state = currentResult(capture).state === 'complete' ? 'complete' : 'incomplete';
    const target = openTarget(capture, places(config)[place]!);
    target.reach();
    target.resume(capture.directory!);
    capture.target = target;
  }
  capture.recorded = recordOn(capture, capture.target);
}

export function leave(capture: Capture): void {
  const { target } = capture;
  if (target === null) return;
  capture.target = null;
  target.leave(!capture.saved);
}

/** What the machine does in the end: a failure action that is none of these has had its turn. */
export function actionOf({ config, saved, refused }: Capture): Capture['config']['finalAction'] {
  const { failureAction, finalAction } = config;
  if (saved || refused || failureAction === 'shell' || failureAction === 'dump_to_rootfs') return finalAction;
  return failureAction;
}

/** Notes what went wrong in a step, and says it; with paths as the target has them, wherever it is mounted here. */
export function fail({ machine, report, log, current }: Capture, step: string, error: unknown): CaptureError {
  const thrown = toCaptureError(step, error, report.targets[current]?.kind);
  const failure = { ...thrown, message: thrown.message.replaceAll(`${machine.mountPoint}/`, '/') };
  report.errors.push(failure);
  log.say(`${step} failed: ${failure.message}`);
  if (failure.fix !== undefined) log.say(failure.fix);
  return failure;
}
