import { isIP } from 'node:net';
import { KdumpError } from '../../../lib/errors.ts';
import type { NfsTarget } from '../config.ts';
import type { Mounting } from './directory-target.ts';
import { keepTrying } from './keep-trying.ts';
import { mountBound, mountedByUs } from './mountings.ts';
import type { Place } from './place.ts';

/** Versions in the order in which they are tried where none is asked for. */
const versions = ['4.2', '4.1', '4.0', '3'] as const;
/** A server that takes no such version, or has no such service. */
const otherVersion = /EPROTONOSUPPORT|EINVAL|EPFNOSUPPORT/;
/**
 * A server that does not answer is an error after some 40 seconds, never a wait for ever: nobody is there to interrupt it.
 * Behind the options of the configuration, since the last one counts. Locks need a daemon, and nobody else writes here.
 */
const bounded = ['soft', 'timeo=100', 'retrans=2', 'nolock'];
/** A server, or the way to it, that may still come up. */
const notYet = /EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|ETIMEDOUT|ECONNREFUSED|ECONNRESET/;
/** For mount.nfs, which is not needed: the kernel mounts by itself when it is told the address. */
const forMountNfs =
  /^(bg|fg|retry=.*|addr=.*|clientaddr=.*|hard|soft|softerr|timeo=.*|retrans=.*|lock|nolock|(nfs)?vers=.*)$/;

/** An NFS export. */
export function onNfs(place: Place, target: NfsTarget): Mounting {
  const { machine, say } = place;
  const { server, export: path } = target;
  const name = `${server}:${path}`;
  const mount = (): void => {
    const wanted = target.mountOptions.split(',').filter((word) => word !== '');
    const asked = wanted.map((word) => /^(?:nfs)?vers=(.*)$/.exec(word)?.[1]).find(Boolean);
    const tried = asked === undefined ? versions : [asked];
    const kept = wanted.filter((word) => !forMountNfs.test(word));
    const addresses = addressesOf(place, server);
    for (const [i, version] of tried.entries()) {
      machine.promise(mountBound);
      // Version 4 has its locks in itself.
      const ours = version.startsWith('4') ? bounded.filter((word) => word !== 'nolock') : bounded;
      const options = [...kept, `vers=${version}`, ...ours, ...addresses].join(',');
      try {
        machine.mount(name, machine.mountPoint, 'nfs', options);
        say(`mounted ${name} (nfs ${version})`);
        return;
      } catch (error) {
        const errno = error instanceof KdumpError ? String(error.facts.errno) : '';
        if (i + 1 === tried.length || !otherVersion.test(errno)) throw error;
        say(`${name}: not by version ${version} (${errno})`);
      }
    }
  };
  const keepMounting = (): void =>
    keepTrying(place, mount, ({ facts: { errno } }) => notYet.test(`${errno}`));
  return mountedByUs(place, name, keepMounting, true);
}

/** The kernel knows no names: the network plan has the address that the name stood for when the machine was armed. */
function addressesOf({ config }: Place, server: string): string[] {
  const bare = server.replace(/^\[(.*)\]$/, '$1');
  const remote = config.network?.remotes.find(({ name, address }) => [name, address].includes(bare));
  const address = remote?.address ?? (isIP(bare) ? bare : undefined);
  if (address === undefined)
    throw new KdumpError('address-unknown', `the address of ${server} is not in the capture image`, {
      fix: 'Arm the machine again: kdumpctl reload.',
      facts: { server },
    });
  return [`addr=${address}`, ...(remote?.source ? [`clientaddr=${remote.source}`] : [])];
}
