import { hostname, networkInterfaces } from 'node:os';

/** Names under which this machine's dumps may stand where others save theirs, too: its own, and its addresses. */
export function ownNames(): string[] {
  const name = hostname();
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return [name, name.split('.')[0]!, ...addresses.map(({ address }) => address)];
}
