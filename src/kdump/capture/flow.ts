import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { progressLine } from '../../lib/progress.ts';
import { finishDurably, incompleteName, syncDirectory, writeFileDurably } from '../../system/durable.ts';
import { type CaptureConfig, isMountedTarget, type TargetDevice, targetName } from './config.ts';
import { type CaptureLog, openCaptureLog } from './log.ts';
import type { CaptureMachine, CaptureTools, CollectHooks } from './machine.ts';
import { stalledWords } from './paths.ts';
import { type CaptureError, type DumpReport, describeFailure, findPanicLine } from './report.ts';
import { copyVmcore, readVmcoreinfo } from './vmcore.ts';

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

type Capture = {
  readonly config: CaptureConfig;
  readonly machine: CaptureMachine;
  readonly tools: CaptureTools;
  readonly log: CaptureLog;
  readonly report: DumpReport;
  /** Where the target is: its device, or the directory on which it was mounted for us; null until it is there. */
  device: string | null;
  directory: string | null;
};

type Step = {
  readonly name: string;
  /** Without a sign of life for so long, the step counts as stuck, seconds. */
  readonly bound: number;
  /** When it fails there is nowhere to write to: the steps after it are passed over. */
  readonly essential?: true;
  run(capture: Capture): void;
};

const devicePause = 0.2;
/** A journal of a large file system may take minutes to be replayed. */
const mountBound = 300;
const smallFileBound = 120;
/** The collector reports progress far more often; a disk that takes a minute for a write is slow, not stuck. */
const collectBound = 300;

/** A console at 115200 baud is slower than the collector: a line of progress every few seconds is enough. */
const secondsBetweenLines = 5;
const secondsBetweenSamples = 1;

/** Space held until the end, so that the account can be written to a disk that the dump has filled. */
const reserveName = 'reserve-incomplete';
const reserveBytes = 1 << 20;

/** How the target is reached. Whoever has mounted it before the capture unmounts it after the capture. */
function targetSteps({ target }: CaptureConfig): readonly Step[] {
  if (isMountedTarget(target))
    return [{ name: 'mount', bound: smallFileBound, essential: true, run: findMounted }];
  return [
    {
      name: 'device',
      bound: smallFileBound,
      essential: true,
      run: (capture) => waitForDevice(capture, target),
    },
    { name: 'mount', bound: mountBound, essential: true, run: (capture) => mountTarget(capture, target) },
  ];
}

const savingSteps: readonly Step[] = [
  { name: 'directory', bound: smallFileBound, essential: true, run: makeDirectory },
  { name: 'marker', bound: smallFileBound, run: writeMarker },
  { name: 'dmesg', bound: collectBound, run: saveDmesg },
  { name: 'collect', bound: collectBound, run: collect },
];

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

function waitForDevice(capture: Capture, { device }: TargetDevice): void {
  const { config, machine, log } = capture;
  const until = machine.uptime() + config.deviceTimeout;
  machine.promise(config.deviceTimeout + smallFileBound);
  for (;;) {
    const found = machine.findDevice(device);
    if (found !== undefined) {
      capture.device = found;
      log.say(`target ${device}${found === device ? '' : ` is ${found}`}`);
      return;
    }
    if (machine.uptime() >= until)
      throw new KdumpError(
        'device-missing',
        `target ${device} did not appear within ${config.deviceTimeout} s`,
        {
          fix: 'Build the image with the drivers of the device: mkdumprd --add-drivers.',
          facts: { device, seconds: config.deviceTimeout },
        },
      );
    machine.sleep(devicePause);
  }
}

function mountTarget(capture: Capture, { fstype, mountOptions }: TargetDevice): void {
  const { machine, log } = capture;
  if (!machine.isMounted()) {
    mkdirSync(machine.mountPoint, { recursive: true });
    machine.mount(capture.device!, fstype, mountOptions);
  }
  log.say(`mounted ${capture.device} (${fstype}), ${mebibytes(measureFree(capture))} MiB free`);
}

function findMounted(capture: Capture): void {
  const { machine, log } = capture;
  if (!machine.isMounted())
    throw new KdumpError('not-mounted', `nothing is mounted on ${machine.mountPoint}`, {
      fix: 'Let the initramfs mount the file system that is to take the dump.',
    });
  capture.device = machine.mountPoint;
  log.say(`${machine.mountPoint} is mounted, ${mebibytes(measureFree(capture))} MiB free`);
}

function measureFree({ machine, report }: Capture): number {
  const { bavail, bsize } = statfsSync(machine.mountPoint);
  report.targetFreeBytes = bavail * bsize;
  return report.targetFreeBytes;
}

/** HOST-YYYY-MM-DD-HH:MM:SS in UTC, of the crash where its time is known; numbered when it is there already. */
function makeDirectory(capture: Capture): void {
  const { config, machine, report, log } = capture;
  const parent = join(machine.mountPoint, config.path);
  mkdirSync(parent, { recursive: true });
  // An absolute link on the target would lead into the capture kernel's own memory.
  if (statSync(parent).dev !== statSync(machine.mountPoint).dev)
    throw new KdumpError(
      'path-leaves-target',
      `${config.path} is not on ${targetName(config.target)}: a link leads out of it`,
      {
        fix: 'Name the directory itself with --path.',
      },
    );
  report.crashTime ??= machine.now().toISOString();
  const stamp = report.crashTime.slice(0, 19).replace('T', '-');
  for (let attempt = 1; ; attempt++) {
    const directory = join(parent, `${config.host}-${stamp}${attempt === 1 ? '' : `-${attempt}`}`);
    try {
      mkdirSync(directory, { mode: 0o700 });
      capture.directory = directory;
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === 100) throw error;
    }
  }
  syncDirectory(parent);
  log.say(`saving to ${capture.directory.slice(machine.mountPoint.length)} on ${targetName(config.target)}`);
}

function writeMarker({ directory, report }: Capture): void {
  writeFileDurably(join(directory!, 'dump.json'), toJson(report));
  writeFileDurably(join(directory!, reserveName), new Uint8Array(reserveBytes));
}

const dmesgName = 'vmcore-dmesg.txt';

function saveDmesg({ directory, machine, tools, report, log }: Capture): void {
  const dmesg = Buffer.from(tools.extractDmesg(machine.vmcore), 'latin1');
  // Found before it is saved: a full disk shall not hide the cause of the crash.
  report.panic = findPanicLine(dmesg.toString());
  log.say(`the kernel died with: ${report.panic ?? 'no line that says why'}`);
  writeFileDurably(join(directory!, dmesgName), dmesg);
  log.say(`saved ${dmesgName} (${dmesg.length} bytes)`);
}

function collect(capture: Capture): void {
  const { config, directory, machine, tools, report, log } = capture;
  const vmcore = join(directory!, 'vmcore');
  const incomplete = incompleteName(vmcore);
  const [program, ...options] = config.coreCollector;
  const hooks = collectHooks(capture);
  log.say(`collecting with ${report.collector}`);
  report.report =
    program === 'cp'
      ? copyVmcore(machine.vmcore, incomplete, hooks)
      : tools.collect([...options, machine.vmcore, incomplete], hooks);
  finishDurably(incomplete, vmcore);
  report.state = 'complete';
  log.say(`saved vmcore (${mebibytes(statSync(vmcore).size)} MiB)`);
}

function collectHooks(capture: Capture): CollectHooks {
  const { machine, log } = capture;
  let lastLine = machine.uptime();
  let lastSample = lastLine;
  let label = '';
  let labelBegan = lastLine;
  let lines = 0;
  return {
    progress(current, done, total) {
      const now = machine.uptime();
      if (current !== label) {
        label = current;
        labelBegan = now;
      }
      if (now - lastSample < secondsBetweenSamples) return;
      lastSample = now;
      machine.promise(collectBound);
      sampleMemory(capture);
      if (now - lastLine < secondsBetweenLines) return;
      lastLine = now;
      log.say(progressLine(label, done, total, now - labelBegan, lines++).replace('\r', ''));
      writeState(capture, 'collect');
    },
    message(text) {
      for (const line of text.split('\n')) if (line.trim() !== '') log.say(line);
    },
  };
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

function sampleMemory({ machine, report }: Capture): void {
  const { total, available, peak } = machine.memory();
  const { memory } = report;
  memory.totalKiB = total;
  memory.lowestAvailableKiB = Math.min(memory.lowestAvailableKiB, available);
  memory.nodePeakKiB = Math.max(memory.nodePeakKiB, peak);
}

/** System errors as node names them, in the words of somebody who looks for a dump. */
const systemErrors: Readonly<Record<string, readonly [cause: string, fix: string]>> = {
  ENOSPC: ['the target is full', 'Make room on the target, or raise the dump level (-d 31 keeps the least).'],
  EDQUOT: ['the quota on the target is used up', 'Make room on the target.'],
  EROFS: ['the target is read-only', 'Check the mount options and the health of the device.'],
  EIO: ['the device reports an input/output error', 'Check the health of the device.'],
};

function toCaptureError(step: string, error: unknown): CaptureError {
  if (error instanceof KdumpError)
    return {
      step,
      code: error.code,
      message: error.message,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      facts: error.facts,
    };
  const { code, message, stack } = error as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : systemErrors[code];
  if (known !== undefined) return { step, code: code!, message: `${known[0]} (${message})`, fix: known[1] };
  return { step, code: code ?? 'defect', message: (code === undefined ? stack : message) ?? String(error) };
}

/** Why a capture ended that could not say so itself. */
function explainStatus(status: number, step: string, said: string, kernelLog: string): CaptureError {
  const facts = { status };
  const killedForMemory = /Out of memory: Killed process .*/.exec(kernelLog)?.[0];
  if (killedForMemory !== undefined)
    return {
      step,
      code: 'out-of-memory',
      message: `the capture kernel ran out of memory: ${killedForMemory}`,
      fix: 'Reserve more memory with crashkernel=.',
      facts,
    };
  if (said.includes(stalledWords))
    return { step, code: 'stalled', message: 'the capture made no progress any more and was ended', facts };
  const how = status > 128 ? `was killed by signal ${status - 128}` : `ended with status ${status}`;
  return { step, code: 'capture-died', message: `the capture ${how}; its last words are in the log`, facts };
}

type State = { readonly step: string; readonly directory: string | null; readonly report: DumpReport };

/** In memory, for the run after this one. Losing it only costs detail. */
function writeState({ machine, directory, report }: Capture, step: string): void {
  try {
    const state: State = { step, directory, report };
    writeFileSync(machine.stateFile, JSON.stringify(state), { mode: 0o600 });
  } catch {
    // The capture kernel's memory is full: all that is left goes to the capture itself.
  }
}

function readState(path: string): State | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as State;
  } catch {
    return undefined;
  }
}

const toJson = (report: DumpReport): string => `${JSON.stringify(report, undefined, 2)}\n`;
const round = (seconds: number): number => Math.round(seconds * 100) / 100;
const mebibytes = (bytes: number): string => (bytes / (1 << 20)).toFixed(1);
