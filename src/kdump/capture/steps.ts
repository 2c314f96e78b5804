import { mkdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { progressLine } from '../../lib/progress.ts';
import { finishDurably, incompleteName, syncDirectory, writeFileDurably } from '../../system/durable.ts';
import { type CaptureConfig, isMountedTarget, type TargetDevice, targetName } from './config.ts';
import { type Capture, sampleMemory, writeState } from './context.ts';
import type { CollectHooks } from './machine.ts';
import { findPanicLine, toJson } from './report.ts';
import { copyVmcore } from './vmcore.ts';

/** One step of a capture. */
export type Step = {
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
export const smallFileBound = 120;
/** The collector reports progress far more often; a disk that takes a minute for a write is slow, not stuck. */
const collectBound = 300;

/** A console at 115200 baud is slower than the collector: a line of progress every few seconds is enough. */
const secondsBetweenLines = 5;
const secondsBetweenSamples = 1;

/** Space held until the end, so that the account can be written to a disk that the dump has filled. */
export const reserveName = 'reserve-incomplete';
const reserveBytes = 1 << 20;

/** How the target is reached. Whoever has mounted it before the capture unmounts it after the capture. */
export function targetSteps({ target }: CaptureConfig): readonly Step[] {
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

/** What is saved there, the small first. */
export const savingSteps: readonly Step[] = [
  { name: 'directory', bound: smallFileBound, essential: true, run: makeDirectory },
  { name: 'marker', bound: smallFileBound, run: writeMarker },
  { name: 'dmesg', bound: collectBound, run: saveDmesg },
  { name: 'collect', bound: collectBound, run: collect },
];

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

export const dmesgName = 'vmcore-dmesg.txt';

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

const mebibytes = (bytes: number): string => (bytes / (1 << 20)).toFixed(1);
