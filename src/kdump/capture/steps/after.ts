import type { Capture } from '../context.ts';
import { toJson } from '../report.ts';
import { notifyBound, shellBound } from './bounds.ts';
import { runHooks } from './hooks.ts';
import { fail } from './recording.ts';

/** What comes when the dump is saved, or is not. */

/** The programs are told how the dump ended, as by the exit status of a collector. */
export function runPostHooks(capture: Capture): void {
  runHooks(capture, 'post', capture.config.hooks.post, [capture.saved ? '0' : '1']);
}

export function runEmergencyHooks(capture: Capture): void {
  runHooks(capture, 'emergency', capture.config.hooks.emergency, []);
}

/** Those failure actions that are more than what the machine does in the end. */
export function openShell({ machine, log }: Capture): void {
  log.say('no dump was saved: a shell is open on the console, its end is the end of the capture');
  // Nobody can say how long somebody will think.
  machine.stopWatchdog();
  machine.promise(shellBound);
  machine.shell();
}

/** Tells whoever wants to know. A failure is said and changes nothing. */
export async function notify(capture: Capture): Promise<void> {
  const { config, machine, report, log } = capture;
  for (const { how, to } of config.notifications) {
    machine.promise(6 * notifyBound);
    try {
      if (how === 'post') await machine.post(to, toJson(report), notifyBound);
      else machine.run(to, [], notifyBound, Buffer.from(toJson(report)));
      log.say(`told ${to}`);
    } catch (error) {
      fail(capture, 'notify', error);
    }
  }
}
