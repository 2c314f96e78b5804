import { appendFileSync, readFileSync } from 'node:fs';
import type { CaptureMachine } from './machine.ts';

/** What the capture says: on the console, and in a file in memory that is saved beside the dump. */
export type CaptureLog = {
  /** One line, with the seconds since the capture kernel's boot. */
  say(text: string): void;
  /** Everything said so far, by init and by earlier runs as well. */
  text(): string;
};

export function openCaptureLog(machine: Pick<CaptureMachine, 'uptime' | 'print' | 'logFile'>): CaptureLog {
  return {
    say(text) {
      // The same shape as init's lines, so that both read as one log.
      const line = `kdump: [${machine.uptime().toFixed(2).padStart(8)}] ${text}`;
      machine.print(line);
      try {
        appendFileSync(machine.logFile, `${line}\n`, { mode: 0o600 });
      } catch {
        // Memory is full: the console still has the line.
      }
    },
    text() {
      try {
        return readFileSync(machine.logFile, 'utf8');
      } catch {
        return '';
      }
    },
  };
}
