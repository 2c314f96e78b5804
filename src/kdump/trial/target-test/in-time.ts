import type { Beside } from '../../../system/beside.ts';
import type { TargetOutcome, TriedStep } from './outcome.ts';

/** Seconds for one target: for a login, a mount and a megabyte, on a slow machine. */
export const defaultBound = 300;

/** What a process that tries one target says of each step: a line of JSON. */
export const lineOf = (step: TriedStep): string => `${JSON.stringify(step)}\n`;

/**
 * Waits for a process that tries one target, for so long. One that hangs in the kernel, on a server or a disk that does
 * not answer, cannot always be ended: then it is left behind.
 * @param name of the target, as it is written in a configuration
 */
export function outcomeInTime(name: string, trial: Beside, seconds: number): TargetOutcome {
  const status = trial.wait(seconds);
  trial.kill();
  const lines = trial
    .said()
    .split('\n')
    .filter((line) => line !== '');
  trial.close();
  const steps = lines.map(readStep).filter((step) => step !== undefined);
  const missing: TriedStep[] = [];
  if (status === undefined)
    missing.push({
      step: 'answer',
      ok: false,
      detail: `none within ${seconds} s after "${steps.at(-1)?.step ?? 'start'}": what the target is on does not answer`,
    });
  else if (status !== 0 && steps.every(({ ok }) => ok))
    missing.push({ step: 'trial', ok: false, detail: lines.at(-1) ?? `ended with status ${status}` });
  const all = [...steps, ...missing];
  return { target: name, ok: all.every(({ ok }) => ok), steps: all };
}

function readStep(line: string): TriedStep | undefined {
  try {
    const { step, ok, detail } = JSON.parse(line) as TriedStep;
    return typeof step === 'string' && typeof ok === 'boolean' ? { step, ok, detail } : undefined;
  } catch {
    return undefined;
  }
}
