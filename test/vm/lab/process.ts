// Programs of the host: apt, dpkg-deb, mke2fs, debugfs, depmod … Each with a deadline and with its output in the error.
import { type ChildProcess, spawn } from 'node:child_process';
import { KdumpError } from '../../../src/lib/errors.ts';

export type Finished = { status: number | null; stdout: string; stderr: string };

export type RunOptions = {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Milliseconds until the program is killed; two minutes unless told. */
  timeout?: number;
};

/**
 * Runs a program to its end and returns its status and output, whatever they are.
 * @throws KdumpError `lab-program` when it cannot be started or exceeds its time.
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const timeout = options.timeout ?? 120_000;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      // Messages are matched by tests and read by people of every country: one language.
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: 'C', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
    child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeout);
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(
        new KdumpError('lab-program', `cannot start ${program}: ${cause.message}`, {
          fix: 'scripts/setup.sh installs every program the lab needs',
          cause,
        }),
      );
    });
    child.once('close', (status) => {
      clearTimeout(timer);
      const finished = {
        status,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      };
      if (!late) resolve(finished);
      else {
        reject(
          new KdumpError(
            'lab-program',
            `${program} did not finish in ${timeout / 1000} s\n${tail(finished.stderr)}`,
          ),
        );
      }
    });
  });
}

/**
 * Runs a program that has to succeed.
 * @returns its standard output.
 * @throws KdumpError `lab-program` with the last lines of its messages when its status is not 0.
 */
export async function check(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const finished = await run(program, args, options);
  if (finished.status !== 0) {
    const said = tail(finished.stderr.trim() === '' ? finished.stdout : finished.stderr);
    throw new KdumpError(
      'lab-program',
      `${program} ${args.join(' ')} ended with status ${finished.status}\n${said}`,
    );
  }
  return finished.stdout;
}

/** The last lines of a text, indented: what a reader needs of a long output. */
export function tail(text: string, lines = 20): string {
  return text
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .map((line) => `  ${line}`)
    .join('\n');
}

/** Resolves when a child has ended, or after `milliseconds`; says which. */
export function ended(child: ChildProcess, milliseconds: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      child.off('exit', onExit);
      resolve(false);
    }, milliseconds);
    const onExit = () => {
      clearTimeout(timer);
      resolve(true);
    };
    child.once('exit', onExit);
  });
}
