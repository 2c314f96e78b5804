import { lstatSync, readFileSync, statSync } from 'node:fs';
import { KdumpError } from '../../lib/errors.ts';
import { findProgram, run } from '../../system/processes.ts';
import type { SshTarget } from '../capture/config.ts';
import type { ImageFile } from './assemble.ts';

/** What an image carries to log in to other machines. */
export type SshKit = {
  /** Key and known hosts; only the owner of the image can read it. */
  readonly files: readonly ImageFile[];
  readonly programs: readonly string[];
  /** Files of this machine that it is made from. */
  readonly sources: readonly string[];
};

/** Where they lie in the image. */
export const sshPaths = { key: '/etc/kdump/ssh/key', knownHosts: '/etc/kdump/ssh/known_hosts' } as const;

/** Where ssh looks for the keys of hosts. */
export const systemKnownHosts = ['/root/.ssh/known_hosts', '/etc/ssh/ssh_known_hosts'];
const keyBound = 20;
const largestKnownHosts = 1 << 20;
const standardPort = '22';

/**
 * Collects what the capture needs to log in without asking anybody: the key, and the host keys as they are known here.
 * Nothing is asked of the other machine.
 * @param copies whether scp is needed beside ssh
 * @throws KdumpError `no-ssh-key`, `ssh-key-unusable`, `unknown-host-key`, `ssh-alias`, `no-program`
 */
export function collectSsh(
  targets: readonly SshTarget[],
  key: string,
  copies: boolean,
  hostFiles: readonly string[] = systemKnownHosts,
): SshKit {
  checkKey(key);
  const known = targets.map((target) => {
    checkAlias(target);
    return hostKeys(target.host, hostFiles);
  });
  const programs = (copies ? ['ssh', 'scp'] : ['ssh']).map((name) => {
    const path = findProgram(name);
    if (path === undefined)
      throw new KdumpError('no-program', `${name} is not installed`, {
        fix: 'Install the package openssh-client (openssh-clients).',
        facts: { program: name },
      });
    return path;
  });
  return {
    programs,
    sources: [key, ...hostFiles.filter((file) => statSync(file, { throwIfNoEntry: false }) !== undefined)],
    files: [
      { path: sshPaths.key, mode: 0o600, data: readFileSync(key) },
      { path: sshPaths.knownHosts, mode: 0o600, data: Buffer.from([...new Set(known)].join('')) },
    ],
  };
}

/** A key that asks for a passphrase would ask in vain. */
function checkKey(key: string): void {
  const stats = statSync(key, { throwIfNoEntry: false });
  const fix = 'Run kdumpctl propagate: it makes a key and tells it to the other machine.';
  if (stats === undefined)
    throw new KdumpError('no-ssh-key', `the ssh key ${key} does not exist`, { fix, facts: { key } });
  if ((stats.mode & 0o077) !== 0)
    throw new KdumpError('ssh-key-unusable', `the ssh key ${key} can be read by others than its owner`, {
      fix: `chmod 600 ${key}`,
      facts: { key },
    });
  // Its public half can be made only from a key that is readable without a passphrase.
  const { status, stderr } = run('ssh-keygen', ['-y', '-P', '', '-f', key], { timeout: keyBound });
  if (status !== 0)
    throw new KdumpError(
      'ssh-key-unusable',
      `the ssh key ${key} cannot be used without being asked for a passphrase: ${stderr.trim().split('\n')[0]}`,
      {
        fix: 'Name a key without a passphrase in sshkey, or run kdumpctl propagate without one.',
        facts: { key },
      },
    );
}

/** What ssh_config makes of a name is not known in the capture kernel. */
function checkAlias({ user, host }: SshTarget): void {
  const { status, stdout } = run('ssh', ['-G', '--', `${user}@${host}`], { timeout: keyBound });
  if (status !== 0) return;
  const setting = (name: string) => new RegExp(`^${name} (.*)$`, 'm').exec(stdout.toString())?.[1];
  const [hostname = host, port = standardPort] = [setting('hostname'), setting('port')];
  if (hostname.toLowerCase() === host.toLowerCase() && port === standardPort) return;
  throw new KdumpError(
    'ssh-alias',
    `Invalid ssh destination ${user}@${host} provided: ssh_config makes ${hostname} port ${port} of it, and does not reach the capture kernel`,
    {
      fix: 'Name the machine by its own name, with its ssh server on port 22.',
      facts: { host, hostname, port },
    },
  );
}

/** The lines of known hosts that are about a host, hashed or not. */
function hostKeys(host: string, files: readonly string[]): string {
  const found = files
    .filter((file) => lstatSync(file, { throwIfNoEntry: false })?.isFile())
    .filter((file) => statSync(file).size <= largestKnownHosts)
    .map((file) => run('ssh-keygen', ['-F', host, '-f', file], { timeout: keyBound }).stdout.toString())
    .flatMap((text) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#')));
  // A key that is revoked makes no host known.
  if (!found.some((line) => !line.startsWith('@revoked')))
    throw new KdumpError('unknown-host-key', `the host key of ${host} is in none of ${files.join(', ')}`, {
      fix: 'Run kdumpctl propagate: it asks for the key and keeps it.',
      facts: { host },
    });
  return `${found.join('\n')}\n`;
}
