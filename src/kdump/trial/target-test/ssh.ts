import { posix } from 'node:path';
import { KdumpError } from '../../../lib/errors.ts';
import type { RunResult } from '../../../system/processes.ts';
import { remoteCommand, sshArguments } from '../../capture/targets/ssh-command.ts';
import type { Target } from '../../config/target.ts';
import { formatBytes } from '../../dumps/describe.ts';
import { shellQuote } from '../../image/shell.ts';
import type { Trial } from './outcome.ts';

const probe = Buffer.alloc(1 << 20, 'kdump target test\n');
const probeName = 'kdump-target-test';

/** Runs ssh with these arguments and this input, with a bound. */
export type Ssh = (args: readonly string[], input: Uint8Array) => RunResult;
export type SshAccess = { readonly path: string; readonly key: string; readonly knownHosts: string };

/** Does on another machine what a capture does there, by the same requests, with a megabyte; and deletes it. */
export function trySsh(
  trial: Trial,
  target: Extract<Target, { kind: 'ssh' }>,
  { path, ...access }: SshAccess,
  ssh: Ssh,
): void {
  const there = (command: string, input: Uint8Array = new Uint8Array()): RunResult =>
    ssh([...sshArguments(target, access), command], input);
  const request = (words: readonly string[], input?: Uint8Array): string => {
    const { status, stdout, stderr } = there(remoteCommand(words), input);
    if (status === 0) return stdout.toString();
    throw new KdumpError('target-test', stderr.trim() || `ssh ended with status ${status}`);
  };

  trial.try('log in', () => {
    try {
      if (!request(['hello']).includes('kdump-receive is ready'))
        throw new KdumpError('target-test', 'the account runs something else than what it is told to');
    } catch (error) {
      throw new KdumpError('target-test', (error as Error).message, {
        fix: 'kdumpctl propagate has the key accepted, and pins that of the host.',
      });
    }
    return '';
  });
  if (trial.failed) return;
  if (there('true').status !== 0) {
    trial.try('write', () => 'not tried: the account takes dumps, and deletes nothing (kdump-receive)');
    return;
  }
  let directory: string | undefined;
  try {
    trial.try('directory', () => {
      const answer = request(['begin', posix.normalize(path), probeName]);
      directory = /^kdump-receive directory (\/.*)$/m.exec(answer)?.[1];
      if (directory === undefined)
        throw new KdumpError('target-test', 'the account did not say what it has made');
      return describeSpace(/^kdump-receive space (.*)$/m.exec(answer)?.[1] ?? '');
    });
    trial.try('write, sync and rename', () => {
      request(['put', directory!, 'vmcore', String(probe.length)], probe);
      return formatBytes(probe.length);
    });
  } finally {
    if (directory !== undefined) trial.always('delete', () => remove(directory!, there));
  }
}

/** Only what has the name that we gave it. */
function remove(directory: string, there: (command: string) => RunResult): string {
  if (!posix.basename(directory).startsWith(probeName))
    throw new KdumpError('target-test', `${directory} is not the directory that was asked for`);
  const { status, stderr } = there(`rm -rf -- ${shellQuote(directory)}`);
  if (status !== 0) throw new KdumpError('target-test', stderr.trim() || `rm ended with status ${status}`);
  return '';
}

/** The fourth column of df is what is free, in KiB. */
function describeSpace(line: string): string {
  const free = Number(line.split(/\s+/)[3]);
  return Number.isFinite(free) ? `${formatBytes(free * 1024)} are free` : '';
}
