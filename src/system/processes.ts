import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { KdumpError } from '../lib/errors.ts';

export type RunOptions = {
  readonly input?: Uint8Array;
  /** Bound on the run, in seconds. */
  readonly timeout?: number;
  /** The whole environment of the program; ours when absent. */
  readonly env?: NodeJS.ProcessEnv;
};

export type RunResult = { readonly status: number; readonly stdout: Buffer; readonly stderr: string };

const defaultTimeout = 300;
const largestOutput = 1 << 30;

/** Where an administrator's programs lie even when PATH is a plain user's. */
const alwaysSearched = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Full path of a program, from PATH and the directories of system programs; undefined when it is not installed. */
export function findProgram(name: string, path: string = process.env.PATH ?? ''): string | undefined {
  const directories = [...path.split(':').filter((directory) => directory !== ''), ...alwaysSearched];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a program to its end and gives back what it said; its exit status is the caller's to judge.
 * @throws KdumpError `no-program` when it is not installed, `timed-out` when it had to be ended, `killed` when a signal
 * ended it.
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): RunResult {
  const timeout = options.timeout ?? defaultTimeout;
  const result = spawnSync(program, args, {
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.env === undefined ? {} : { env: options.env }),
    timeout: timeout * 1000,
    killSignal: 'SIGKILL',
    maxBuffer: largestOutput,
  });
  const failure = result.error as NodeJS.ErrnoException | undefined;
  if (failure?.code === 'ENOENT')
    throw new KdumpError('no-program', `${program} is not installed`, {
      fix: `Install the package that has ${program}.`,
      facts: { program },
    });
  if (failure?.code === 'ETIMEDOUT')
    throw new KdumpError('timed-out', `${program} did not end within ${timeout} s`, {
      facts: { program, timeout },
    });
  // A program that ends without reading all of its input has said why by itself.
  if (failure && failure.code !== 'EPIPE')
    throw new KdumpError('no-program', `${program}: ${failure.message}`, { cause: failure });
  if (result.signal !== null)
    throw new KdumpError('killed', `${program} was ended by ${result.signal}`, { facts: { program } });
  return { status: result.status ?? 1, stdout: result.stdout, stderr: result.stderr.toString() };
}

/** As run(), for programs of which only success is of use. @throws KdumpError `program-failed` with the end of what it said. */
export function runOrThrow(program: string, args: readonly string[], options: RunOptions = {}): RunResult {
  const result = run(program, args, options);
  if (result.status !== 0) {
    const said = (result.stderr.trim() || result.stdout.toString().trim()).split('\n').slice(-3).join('; ');
    throw new KdumpError('program-failed', `${program} ended with status ${result.status}: ${said}`, {
      facts: { program, status: result.status },
    });
  }
  return result;
}
