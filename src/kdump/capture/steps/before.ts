import { existsSync } from 'node:fs';
import { KdumpError } from '../../../lib/errors.ts';
import type { Capture } from '../context.ts';
import { readVmcoreinfo } from '../vmcore.ts';
import { runHooks } from './hooks.ts';

/** What comes before there is anywhere to write to. */

/** Who crashed, and when. Without an answer the capture goes on: the collector has its own say about a bad vmcore. */
export function identifyCrash({ machine, report, log }: Capture): void {
  const { vmcore } = machine.boot;
  if (!existsSync(vmcore))
    throw new KdumpError('no-vmcore', `${vmcore} does not exist: this kernel was not started by a crash`, {
      fix: 'Load the image as a crash kernel: kexec -p.',
    });
  const info = readVmcoreinfo(vmcore);
  report.kernelRelease = info?.osrelease ?? null;
  const seconds = info?.crashTime;
  if (seconds !== undefined) report.crashTime = new Date(seconds * 1000).toISOString();
  log.say(
    `the crashed kernel is ${report.kernelRelease ?? 'unknown'}, it crashed at ${report.crashTime ?? 'an unknown time'}`,
  );
}

/** What of it cannot be set up, a remote target will miss; a local one will not. */
export function bringUpNetwork({ config, machine, log }: Capture): void {
  machine.bringUpNetwork(config.network!, (line) => log.say(line));
}

/** Tells the other nodes of a cluster that this one is busy, for as long as it is. */
export function sendFence({ config, machine, log }: Capture): void {
  const { program, args, nodes } = config.fence!;
  machine.start(program, [...args, ...nodes]);
  log.say(`telling ${nodes.join(', ')} that this machine is being dumped`);
}

/** Programs there only warn; kdump_pre decides, as in the original. */
const onlyWarns = /\/pre\.d\//;

/** @throws KdumpError `refused` when kdump_pre says that there is to be no dump */
export function runPreHooks(capture: Capture): void {
  const failed = runHooks(capture, 'pre', capture.config.hooks.pre, []);
  const refusing = failed.find((program) => !onlyWarns.test(program));
  if (refusing === undefined) return;
  capture.refused = true;
  capture.collects = false;
  throw new KdumpError('refused', `${refusing} failed, so no dump is written`, {
    fix: 'A program that should not decide about the dump belongs into /etc/kdump/pre.d.',
    facts: { program: refusing },
  });
}
