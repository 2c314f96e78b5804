import { KdumpError } from '../../lib/errors.ts';
import { expendableScore } from '../../system/beside.ts';
import { stalledWords } from './paths.ts';
import type { CaptureError } from './report.ts';

/** System errors as node names them, in the words of somebody who looks for a dump. */
const systemErrors: Readonly<Record<string, readonly [cause: string, fix: string]>> = {
  ENOSPC: ['the target is full', 'Make room on the target, or raise the dump level (-d 31 keeps the least).'],
  EDQUOT: ['the quota on the target is used up', 'Make room on the target.'],
  EROFS: ['the target is read-only', 'Check the mount options and the health of the device.'],
  EIO: ['the device reports an input/output error', 'Check the health of the device.'],
};

/** The same of a target on a server, where they mean something else. */
const gone = [
  'the server does not answer any more, or has failed itself',
  'Look after the server and the way to it; name a second target by fallback_target.',
] as const;
const serverErrors: typeof systemErrors = { EIO: gone, ETIMEDOUT: gone, ESTALE: gone };

/**
 * What went wrong in a step, in words and as data, whatever was thrown.
 * @param kind of the target that was used, if one was
 */
export function toCaptureError(step: string, error: unknown, kind?: string): CaptureError {
  if (error instanceof KdumpError)
    return {
      step,
      code: error.code,
      message: error.message,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      facts: error.facts,
    };
  const { code, message, stack } = error as NodeJS.ErrnoException;
  const table = kind === 'nfs' ? { ...systemErrors, ...serverErrors } : systemErrors;
  const known = code === undefined ? undefined : table[code];
  if (known !== undefined) return { step, code: code!, message: `${known[0]} (${message})`, fix: known[1] };
  return { step, code: code ?? 'defect', message: (code === undefined ? stack : message) ?? String(error) };
}

/** Why a capture ended that could not say so itself. */
export function explainStatus(status: number, step: string, said: string, kernelLog: string): CaptureError {
  const facts = { status };
  // Not that of a program that was meant to go first.
  const killedForMemory = [...kernelLog.matchAll(/Out of memory: Killed process .*/g)]
    .map(([line]) => line)
    .find((line) => !line.includes(`oom_score_adj:${expendableScore}`));
  if (killedForMemory !== undefined)
    return {
      step,
      code: 'out-of-memory',
      message: `the capture kernel ran out of memory: ${killedForMemory}`,
      fix: 'Reserve more memory with crashkernel=.',
      facts,
    };
  if (said.includes(stalledWords))
    return { step, code: 'stalled', message: 'the capture made no progress any more and was ended', facts };
  const how = status > 128 ? `was killed by signal ${status - 128}` : `ended with status ${status}`;
  return { step, code: 'capture-died', message: `the capture ${how}; its last words are in the log`, facts };
}
