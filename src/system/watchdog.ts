import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { libc } from './ffi.ts';
import { readText } from './proc.ts';

/** A hardware watchdog that resets the machine unless it is fed. */
export type Watchdog = {
  /** Seconds that it waits for the next feeding. */
  readonly seconds: number;
  feed(): void;
  /** Stops it, where the driver lets it be stopped. */
  close(): void;
};

/** _IOWR('W', 6, int) and _IOR('W', 7, int) of linux/watchdog.h */
const WDIOC_SETTIMEOUT = 0xc0045706;
const WDIOC_GETTIMEOUT = 0x80045707;
/** Written last, it tells the driver that the end is meant (Documentation/watchdog/watchdog-api.rst). */
const magicClose = 'V';

/**
 * Takes over the machine's watchdog, with as long a time as it grants.
 * @param wanted seconds that may pass between two feedings. A watchdog that is not running and cannot wait so long is
 * left alone: it would reset a machine that is only slow. One that runs already has to be fed in any case.
 * @returns undefined when there is none, or it is left alone
 */
export function openWatchdog(wanted: number, path = '/dev/watchdog'): Watchdog | undefined {
  const isRunning = readText('/', 'sys/class/watchdog/watchdog0/state')?.trim() === 'active';
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY);
  } catch {
    return undefined;
  }
  const watchdog: Watchdog = {
    seconds: setTimeoutOf(fd, wanted),
    feed: () => void tryWrite(fd, '\0'),
    close: () => {
      tryWrite(fd, magicClose);
      closeSync(fd);
    },
  };
  if (isRunning || watchdog.seconds >= wanted) return watchdog;
  watchdog.close();
  return undefined;
}

/** @returns what it is now; 0 when it does not say */
function setTimeoutOf(fd: number, wanted: number): number {
  const ioctl = libc('int ioctl(int fd, unsigned long request, uint8_t *argument)');
  const word = Buffer.alloc(4);
  word.writeInt32LE(wanted, 0);
  if (ioctl(fd, WDIOC_SETTIMEOUT, word) === 0) return word.readInt32LE(0);
  return ioctl(fd, WDIOC_GETTIMEOUT, word) === 0 ? word.readInt32LE(0) : 0;
}

function tryWrite(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // A driver that takes nothing more is beyond help.
  }
}
