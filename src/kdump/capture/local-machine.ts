import { closeSync, constants, openSync, readSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { startBeside } from '../../system/beside.ts';
import { postText } from '../../system/http-post.ts';
import { mount, readMounts, unmount, unmountByForce } from '../../system/mount.ts';
import { rangesNamed, readIomem, readText } from '../../system/proc.ts';
import { openWatchdog } from '../../system/watchdog.ts';
import { findBlockDevice } from '../block-devices.ts';
import { bringUp } from '../network/apply.ts';
import { localNetwork } from '../network/machine.ts';
import { readBootParameters } from './boot-parameters.ts';
import type { CaptureMachine, MemorySample } from './machine.ts';
import { paths } from './paths.ts';
import { runBounded } from './run-bounded.ts';

/** Seconds that a hardware watchdog has to wait: longer than any step is silent. */
const watchdogSeconds = 400;

/**
 * The machine that this process runs on, as the capture kernel's init has set it up.
 * @param print shows one line on the console
 */
export function localMachine(print: (line: string) => void): CaptureMachine {
  // One read of /proc/uptime; the hooks ask for the time far more often than the file should be opened.
  const bootToStart = Number((readText('/', 'proc/uptime') ?? '0').split(' ')[0]) - performance.now() / 1000;
  const uptime = (): number => bootToStart + performance.now() / 1000;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const sleep = (seconds: number): void => void Atomics.wait(pause, 0, 0, seconds * 1000);
  const boot = readBootParameters();
  let watchdog = openWatchdog(watchdogSeconds);
  const promise = (seconds: number): void => {
    watchdog?.feed();
    tryWrite(paths.promise, `${Math.ceil(uptime() + seconds)}\n`);
  };
  return {
    boot,
    mountPoint: paths.target,
    stateFile: paths.state,
    logFile: paths.log,
    reportDirectory: paths.report,
    release: release(),
    systemRam,
    uptime,
    now: () => new Date(),
    sleep,
    print,
    findDevice: findBlockDevice,
    mount,
    isMounted: (directory) => readMounts().some(({ target }) => target === directory),
    unmount,
    unmountByForce,
    memory: readMemory,
    kernelLog: readKernelLog,
    promise,
    stopWatchdog() {
      watchdog?.close();
      watchdog = undefined;
    },
    setAction: (action) => tryWrite(paths.action, `${action}\n`),
    run: (program, args, seconds, input) => runBounded(program, args, seconds, { input }),
    feed: (program, args) => startBeside(program, args, { stdin: 'pipe' }),
    start: (program, args) => void startBeside(program, args, { stdin: 'none' }),
    shell() {
      const shell = startBeside('sh', ['-i'], { stdin: 'ours' });
      while (shell.wait(60) === undefined);
    },
    bringUpNetwork: (plan, say) => bringUp(plan, localNetwork({ uptime, sleep, promise, say })),
    post: (url, json, seconds) => postText(url, 'application/json', json, seconds),
  };
}

/** A file in memory. When memory is full, what stands there still holds for a while. */
function tryWrite(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // The capture goes on without.
  }
}

/** "System RAM" above the first MiB, which every crash kernel is given in addition to crashkernel=. */
function systemRam(): number | null {
  const iomem = readIomem('/');
  if (iomem === null || iomem.hidden) return null;
  return rangesNamed(iomem.ranges, 'System RAM')
    .filter(({ start }) => start >= 1 << 20)
    .reduce((sum, { start, end }) => sum + end + 1 - start, 0);
}

function readMemory(): MemorySample {
  const kib = (text: string | null, key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(text ?? '')?.[1] ?? 0);
  const meminfo = readText('/', 'proc/meminfo');
  return {
    total: kib(meminfo, 'MemTotal'),
    available: kib(meminfo, 'MemAvailable'),
    peak: kib(readText('/', 'proc/self/status'), 'VmHWM'),
  };
}

/** More records than a log buffer of the capture kernel can hold. */
const mostRecords = 1 << 17;

/**
 * The running kernel's log from /dev/kmsg, a record a read: "priority,sequence,microseconds,flags;text", then lines of
 * key=value, which are left out (Documentation/ABI/testing/dev-kmsg). Empty when it cannot be read.
 */
export function readKernelLog(path = '/dev/kmsg'): string {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return '';
  }
  const lines: string[] = [];
  const record = Buffer.alloc(8192);
  try {
    for (let count = 0; count < mostRecords; count++) {
      let length: number;
      try {
        length = readSync(fd, record);
      } catch (error) {
        // EPIPE: records were overwritten before they were read; the next read goes on after the gap.
        if ((error as NodeJS.ErrnoException).code === 'EPIPE') continue;
        break;
      }
      if (length === 0) break;
      lines.push(formatRecord(record.toString('utf8', 0, length)));
    }
  } finally {
    closeSync(fd);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function formatRecord(record: string): string {
  const semicolon = record.indexOf(';');
  const microseconds = Number(record.slice(0, semicolon).split(',')[2]);
  const text = record.slice(semicolon + 1).split('\n', 1)[0]!;
  return `[${(microseconds / 1e6).toFixed(6).padStart(12)}] ${text}`;
}
