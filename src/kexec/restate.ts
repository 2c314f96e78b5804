import { type Facts, KdumpError } from '../lib/errors.ts';

/** An error in other words, caused by itself. */
export function restated(error: KdumpError, message: string, facts: Facts): KdumpError {
  return new KdumpError(error.code, message, {
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    facts,
    exitCode: error.exitCode,
    cause: error,
  });
}
