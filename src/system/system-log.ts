import { writeFileSync } from 'node:fs';
import { findProgram, run } from './processes.ts';

/** syslog(3): how bad it is. */
export const priorities = { error: 3, warning: 4, info: 6 } as const;
export type Priority = keyof typeof priorities;

/** A daemon's messages. */
const facility = 3 << 3;
const names = { error: 'err', warning: 'warning', info: 'info' } as const;
/** The kernel cuts records of about a thousand bytes. */
const longestRecord = 900;
const loggerBound = 5;

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');

/** Writes lines to the system's log. Without one, or without logger(1), nothing happens. */
export function toSystemLog(tag: string, priority: Priority, text: string): void {
  const logger = findProgram('logger');
  if (logger === undefined) return;
  const args = ['-t', `${tag}[${process.pid}]`, '-p', `daemon.${names[priority]}`, '--'];
  for (const line of linesOf(text)) {
    try {
      run(logger, [...args, line], { timeout: loggerBound });
    } catch {
      // What is said elsewhere as well is no reason to fail.
      return;
    }
  }
}

/** Writes lines to the kernel's log, where only root may. */
export function toKernelLog(tag: string, priority: Priority, text: string, device = '/dev/kmsg'): void {
  for (const line of linesOf(text)) {
    try {
      const record = `<${facility | priorities[priority]}>${tag}: ${line.slice(0, longestRecord)}`;
      writeFileSync(device, `${record}\n`, { flag: 'a' });
    } catch {
      return;
    }
  }
}
