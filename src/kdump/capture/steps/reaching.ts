import { KdumpError } from '../../../lib/errors.ts';
import { targetName } from '../config.ts';
import { type Capture, currentResult, places } from '../context.ts';
import type { TargetResult } from '../report.ts';
import { findPanicLine, toJson } from '../report.ts';
import { openTarget } from '../targets/open-target.ts';
import { testDirectoryName, testStatus, testStatusName } from '../test-handshake.ts';
import { fail, recordOn } from './recording.ts';

/** From one target to its directory with everything small in it. */

export const dmesgName = 'vmcore-dmesg.txt';

/** Goes to the next target. */
export function takeNext(capture: Capture): void {
  giveUp(capture);
  capture.current++;
}

/** Goes to the root file system, which is behind all targets. */
export function takeRootfs(capture: Capture): void {
  giveUp(capture);
  capture.current = capture.config.targets.length;
}

/** Takes leave of a target that cannot have the dump, with the account of why. */
function giveUp(capture: Capture): void {
  const { target, directory } = capture;
  capture.target = null;
  capture.directory = null;
  if (target === null) return;
  if (directory !== null) recordOn(capture, target);
  target.leave(true);
}

export function reachTarget(capture: Capture): void {
  const { config, report, current } = capture;
  const settings = places(config)[current]!;
  report.targets[current] ??= newResult(targetName(settings), settings.kind);
  report.state = 'incomplete';
  report.files = {};
  const target = openTarget(capture, settings);
  target.reach();
  capture.target = target;
}

const newResult = (target: string, kind: string): TargetResult => ({
  target,
  kind,
  state: 'skipped',
  directory: null,
  file: null,
  bytes: null,
  expected: null,
  sha256: null,
  seconds: 0,
  error: null,
});

export function makeDirectory(capture: Capture): void {
  const { config, machine, log, current } = capture;
  const target = capture.target!;
  const { path = config.path } = places(config)[current]!;
  capture.directory = target.makeDirectory(path, directoryName(capture));
  const { testId } = machine.boot;
  currentResult(capture).directory = capture.directory;
  if (testId !== null) target.writeFile(testStatusName, testStatus('fail', testId));
  // A partition has no directories.
  log.say(`saving to ${capture.directory === '' ? '' : `${capture.directory} on `}${target.name}`);
}

/** HOST-YYYY-MM-DD-HH:MM:SS in UTC, of the crash where its time is known; or the name by which a test looks for it. */
export function directoryName({ config, machine, report }: Capture): string {
  report.crashTime ??= machine.now().toISOString();
  const stamp = report.crashTime.slice(0, 19).replace('T', '-');
  const { testId } = machine.boot;
  return testId === null ? `${config.host}-${stamp}` : testDirectoryName(testId);
}

/** A run before this one has made it. */
export function takeUpDirectory(capture: Capture): void {
  capture.target!.resume(capture.directory!);
}

export function writeMarker({ target, report }: Capture): void {
  target!.writeFile('dump.json', toJson(report));
  target!.holdRoom();
}

export function saveDmesg({ target, machine, tools, report, log }: Capture): void {
  const dmesg = Buffer.from(tools.extractDmesg(machine.boot.vmcore), 'latin1');
  // Found before it is saved: a full disk shall not hide the cause of the crash.
  report.panic = findPanicLine(dmesg.toString());
  log.say(`the kernel died with: ${report.panic ?? 'no line that says why'}`);
  target!.writeFile(dmesgName, dmesg);
  log.say(`saved ${dmesgName} (${dmesg.length} bytes)`);
}

/** With what is known by now, for a capture that is cut short in the middle of the dump. The first one stands else. */
function renewMarker(capture: Capture): void {
  try {
    capture.target!.writeFile('dump.json', toJson(capture.report));
  } catch (error) {
    fail(capture, 'marker', error);
  }
}

/** @throws KdumpError `min-free` when the dump is not even to be begun here */
export function checkRoom(capture: Capture): void {
  const { config, report, log } = capture;
  renewMarker(capture);
  const space = capture.target!.space();
  report.targetFreeBytes = space?.free ?? null;
  if (space === null) return;
  log.say(`${mebibytes(space.free)} MiB are free`);
  const least = leastFree(capture);
  if (config.minFree === null || space.free > least) return;
  throw new KdumpError(
    'min-free',
    `${capture.target!.name} has ${mebibytes(space.free)} MiB free, and ${mebibytes(least)} MiB are to be left (min_free)`,
    { fix: 'Make room on the target, or lower min_free.', facts: { free: space.free, least } },
  );
}

/** Bytes that the dump has to leave. */
export function leastFree({ config: { minFree }, target }: Capture): number {
  if (minFree === null) return 0;
  return 'bytes' in minFree ? minFree.bytes : ((target?.space()?.total ?? 0) * minFree.percent) / 100;
}

export const mebibytes = (bytes: number): string => (bytes / (1 << 20)).toFixed(1);
