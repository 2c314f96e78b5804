import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { basename, join } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import { run } from '../../system/processes.ts';

/** What bringUp() needs of the machine that it runs on; a test can stand in for it. */
export type NetworkMachine = CaptureSide & {
  /** Runs a program with a bound in seconds. @returns null when it succeeded, else what it said */
  run(program: string, args: readonly string[], bound: number): string | null;
  /** Network cards that are there now. */
  cards(): readonly Card[];
  hasAddress(name: string, address: string): boolean;
  /** Text of a file of /sys, /proc or /run; null when it cannot be read. */
  read(path: string): string | null;
  /** Writes a file of /sys or /proc; what it does not take is said. */
  write(path: string, text: string): void;
};

export type Card = { readonly name: string; readonly mac: string; readonly driver: string | null };

/** What the capture gives of its own. */
export type CaptureSide = {
  /** Seconds since the kernel's boot. */
  uptime(): number;
  sleep(seconds: number): void;
  /** Promises a sign of life within so many seconds. */
  promise(seconds: number): void;
  say(line: string): void;
};

/** This machine, as the network plan is applied to it. */
export function localNetwork(side: CaptureSide): NetworkMachine {
  return {
    uptime: () => side.uptime(),
    sleep: (seconds) => side.sleep(seconds),
    promise: (seconds) => side.promise(seconds),
    say: (line) => side.say(line),
    run: runBounded,
    cards: readCards,
    hasAddress: (name, address) =>
      networkInterfaces()[name]?.some((found) => found.address === address) ?? false,
    read: readOrNull,
    write(path, text) {
      try {
        writeFileSync(path, text);
      } catch (error) {
        // Without IPv6 there is nothing to say about its settings.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
          side.say(`${path} does not take "${text}": ${(error as Error).message}`);
      }
    },
  };
}

function runBounded(program: string, args: readonly string[], bound: number): string | null {
  try {
    const { status, stderr } = run(program, args, { timeout: bound });
    return status === 0 ? null : stderr.trim().replaceAll('\n', '; ') || `status ${status}`;
  } catch (error) {
    if (error instanceof KdumpError) return error.message;
    throw error;
  }
}

/** What has a device below it; a VLAN or a bond has the address of its card, but none. */
function readCards(): Card[] {
  const directory = '/sys/class/net';
  return readdirSync(directory).flatMap((name) => {
    const mac = readOrNull(join(directory, name, 'address'))?.trim();
    return mac ? [{ name, mac, driver: driverOf(join(directory, name, 'device/driver')) }] : [];
  });
}

function driverOf(link: string): string | null {
  try {
    return basename(realpathSync(link));
  } catch {
    return null;
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
