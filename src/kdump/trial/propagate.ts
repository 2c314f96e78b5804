import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { KdumpError } from '../../lib/errors.ts';
import type { RunResult } from '../../system/processes.ts';
import { remoteCommand, sshArguments } from '../capture/targets/ssh-command.ts';
import type { EffectiveSettings } from '../config/effective.ts';

/** What propagate needs of the machine. */
export type PropagateDoors = {
  /** Runs a program at the terminal. @returns its exit status */
  talk(program: string, args: readonly string[]): number;
  /** Runs a program that asks nothing. */
  run(program: string, args: readonly string[]): RunResult;
  say(line: string): void;
  /** Where ssh looks for the keys of hosts; the image takes them from there. */
  readonly knownHosts: readonly string[];
};

/**
 * Lets the capture log in to every ssh target of the settings: makes its key when there is none (ed25519, without a
 * passphrase, since nobody is there to type one), has the target accept it, pins the target's own key, and proves that
 * it works without a question.
 * @throws KdumpError `no-ssh-target`, `propagate` with what failed
 */
export function propagate(settings: EffectiveSettings, doors: PropagateDoors): void {
  const targets = settings.targets.filter((target) => target.kind === 'ssh');
  if (targets.length === 0)
    throw new KdumpError('no-ssh-target', 'no target is reached by ssh: there is nothing to propagate', {
      fix: 'Name one by kdumpctl config set ssh USER@HOST.',
    });
  const key = settings.sshKey;
  if (existsSync(key)) doors.say(`Using the key ${key}.`);
  else {
    mkdirSync(dirname(key), { recursive: true, mode: 0o700 });
    const made = doors.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'kdump', '-f', key]);
    if (made.status !== 0) throw failed(`${key} cannot be made: ${made.stderr.trim()}`);
    doors.say(`Made the key ${key}.`);
  }
  const access = { key, knownHosts: doors.knownHosts.join(' ') };
  for (const target of targets) {
    const { user, host } = target;
    const account = `${user}@${host}`;
    // Asks for the password, and whether the host is the one that is meant; the answer is pinned in known_hosts.
    if (doors.talk('ssh-copy-id', ['-i', key, '-o', 'StrictHostKeyChecking=ask', account]) !== 0)
      throw failed(`${account} did not accept the key`);
    const isPinned = doors.knownHosts.some(
      (file) => existsSync(file) && doors.run('ssh-keygen', ['-F', host, '-f', file]).status === 0,
    );
    if (!isPinned)
      throw failed(
        `the key of ${host} is in none of ${doors.knownHosts.join(', ')}`,
        `Log in once as root by ssh ${account}; in ~/.ssh/config, UserKnownHostsFile must not lead elsewhere.`,
      );
    const proof = doors.run('ssh', [...sshArguments(target, access), remoteCommand(['hello'])]);
    if (proof.status !== 0)
      throw failed(`${account} still asks for more than the key: ${proof.stderr.trim()}`);
    doors.say(`${account} accepts the key ${key}.`);
  }
}

const failed = (message: string, fix?: string): KdumpError =>
  new KdumpError('propagate', message, fix === undefined ? {} : { fix });
