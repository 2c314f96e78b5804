import { spawnSync } from 'node:child_process';
import { KdumpError } from '../lib/errors.ts';

/**
 * Runs a program that talks to whoever sits at the terminal: its input and output are ours.
 * @returns its exit status, or 137 for one that was killed, as by the bound
 * @throws KdumpError `no-program`
 */
export function runInteractive(program: string, args: readonly string[], seconds: number): number {
  const { status, signal, error } = spawnSync(program, args, {
    stdio: 'inherit',
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  });
  if (status !== null) return status;
  if (signal !== null) return 137;
  throw new KdumpError('no-program', `${program} cannot be run: ${error?.message ?? 'nobody knows why'}`, {
    fix: `Install the package that has ${program}.`,
    facts: { program },
  });
}
