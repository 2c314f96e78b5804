import { shellQuote } from '../../image/shell.ts';
import type { SshTarget } from '../config.ts';
import { remoteScript } from './remote-script.ts';

/**
 * Arguments of ssh up to the remote command. Nobody is there to answer a question, and nothing is taken from files that
 * were not put into the image: whom to trust is known, or there is no dump to be sent.
 */
export function sshArguments(
  { user, host }: SshTarget,
  { key, knownHosts }: { readonly key: string; readonly knownHosts: string },
): string[] {
  const options = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: knownHosts,
    GlobalKnownHostsFile: '/dev/null',
    IdentitiesOnly: 'yes',
    ConnectTimeout: '15',
    ServerAliveInterval: '10',
    ServerAliveCountMax: '3',
    UpdateHostKeys: 'no',
    ControlPath: 'none',
    Compression: 'no',
  };
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return ['-F', '/dev/null', '-T', '-x', '-a', '-i', key, ...words, '-l', user, '--', host];
}

/** The command for the other machine's shell: the script, and the words as its arguments, each quoted. */
export function remoteCommand(words: readonly string[]): string {
  return `exec sh -c ${shellQuote(remoteScript)} kdump-receive ${words.map(shellQuote).join(' ')}`;
}
