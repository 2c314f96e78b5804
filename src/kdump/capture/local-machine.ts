import { closeSync, constants, openSync, readSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { mount, readMounts, unmount } from '../../system/mount.ts';
import { rangesNamed, readIomem, readText } from '../../system/proc.ts';
import { findBlockDevice } from '../block-devices.ts';
import type { CaptureMachine, MemorySample } from './machine.ts';
import { paths } from './paths.ts';

/**
 * The machine that this process runs on, as the capture kernel's init has set it up.
 * @param print shows one line on the console
 * @param mountPoint where the target is, or gets, mounted
 */
export function localMachine(print: (line: string) => void, mountPoint: string): CaptureMachine {
  // One read of /proc/uptime; the hooks ask for the time far more often than the file should be opened.
  const bootToStart = Number((readText('/', 'proc/uptime') ?? '0').split(' ')[0]) - performance.now() / 1000;
  const uptime = (): number => bootToStart + performance.now() / 1000;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  return {
    vmcore: paths.vmcore,
    mountPoint,
    stateFile: paths.state,
    logFile: paths.log,
    release: release(),
    systemRam,
    uptime,
    now: () => new Date(),
    sleep: (seconds) => void Atomics.wait(pause, 0, 0, seconds * 1000),
    print,
    findDevice: findBlockDevice,
    mount: (device, fstype, options) => mount(device, mountPoint, fstype, options),
    isMounted: () => readMounts().some(({ target }) => target === mountPoint),
    unmount: () => unmount(mountPoint),
    memory: readMemory,
    kernelLog: readKernelLog,
    promise: (seconds) => {
      try {
        writeFileSync(paths.promise, `${Math.ceil(uptime() + seconds)}\n`);
      } catch {
        // Memory is full: the promise before this one still holds for a while.
      }
    },
  };
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
