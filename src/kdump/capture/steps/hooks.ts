import type { Capture } from '../context.ts';
import { toCaptureError } from '../failures.ts';
import { hookBound } from './bounds.ts';

/**
 * Runs programs of the administrator's, each with a bound; one that fails does not keep the others from running.
 * @returns those that failed
 */
export function runHooks(
  { machine, report, log }: Capture,
  when: 'pre' | 'post' | 'emergency',
  programs: readonly string[],
  args: readonly string[],
): string[] {
  const failed: string[] = [];
  for (const program of programs) {
    log.say(`running ${program}`);
    // The bound is enforced here; the promise is for the case that even that does not work.
    machine.promise(2 * hookBound);
    let status: number | null = null;
    try {
      const ended = machine.run(program, args, hookBound);
      for (const line of ended.said.split('\n')) if (line.trim() !== '') log.say(`  ${line}`);
      status = ended.status;
      if (status !== 0) log.say(`${program} ended with status ${status}`);
    } catch (error) {
      const failure = toCaptureError(when, error);
      report.errors.push(failure);
      log.say(failure.message);
    }
    report.hooks.push({ when, program, status });
    if (status !== 0) failed.push(program);
  }
  return failed;
}
