import { isIPv6 } from 'node:net';
import { KdumpError } from '../../lib/errors.ts';
import type { AddressFacts, NetworkFacts, RemoteFacts } from './facts.ts';
import { planLinks } from './links.ts';
import type { NetworkPlan, PlannedAddress, PlannedLink, PlannedRoute } from './network-plan.ts';

/**
 * Plans the network for the capture kernel.
 * @throws KdumpError `network-unsupported` for a link that the capture image cannot set up, `host-is-local`
 */
export function planNetwork(facts: NetworkFacts): NetworkPlan {
  const routes = facts.remotes.map(planRoute);
  const families = new Set(facts.remotes.map(({ address }) => isIPv6(address)));
  const { links, standsFor } = planLinks(
    facts,
    routes.map(({ link }) => link),
    (addresses) => plannedAddresses(addresses, families),
  );
  return {
    remotes: facts.remotes.map(({ name, address, route }) => ({
      name,
      address,
      source: route.prefsrc ?? null,
    })),
    links,
    routes: routes.map((route) => ({ ...route, link: standsFor(route.link) })),
  };
}

function planRoute({ name, address, route }: RemoteFacts): PlannedRoute {
  if (route.type === 'local' || route.dev === 'lo')
    throw new KdumpError('host-is-local', `${name} (${address}) is this machine itself`, {
      fix: 'Name another machine: this one is down while its dump is written.',
      facts: { host: name, address },
    });
  if (route.dev === undefined || (route.type !== undefined && route.type !== 'unicast'))
    throw new KdumpError(
      'no-route',
      `there is no route to ${name} (${address}) that names a link: its type is ${route.type}`,
      { facts: { host: name, address } },
    );
  if (route.via !== undefined)
    throw new KdumpError(
      'network-unsupported',
      `the gateway to ${name} (${address}) is ${route.via.host}, an address of the other family`,
      { fix: 'Name another target: the capture image does not set up such a route.', facts: { host: name } },
    );
  return { to: address, via: route.gateway ?? null, link: route.dev };
}

/** Addresses of the families in use that are there to stay: those that privacy changes from day to day are not. */
function plannedAddresses(
  addresses: readonly AddressFacts[],
  families: ReadonlySet<boolean>,
): { addresses: PlannedAddress[]; dhcp: boolean } {
  const kept = addresses.filter(
    ({ family, local, scope, temporary, deprecated, dadfailed }) =>
      local !== undefined &&
      families.has(family === 'inet6') &&
      scope === 'global' &&
      !(temporary || deprecated || dadfailed),
  );
  return {
    addresses: kept.map(({ local, prefixlen }) => ({ address: local!, prefix: prefixlen })),
    dhcp: kept.some(({ family, dynamic }) => family === 'inet' && dynamic === true),
  };
}

/** Names of kernel modules that a plan needs beside the drivers of its cards. */
export function modulesOfPlan(plan: NetworkPlan): string[] {
  const kinds: Record<PlannedLink['kind'], string[]> = {
    device: [],
    vlan: ['8021q'],
    bond: ['bonding'],
    bridge: ['bridge'],
  };
  const needed = plan.links.flatMap((link) => [
    ...kinds[link.kind],
    // What a DHCP client sends its packets through.
    ...(link.dhcp ? ['af_packet'] : []),
    ...(link.addresses.some(({ address }) => isIPv6(address)) ? ['ipv6'] : []),
  ]);
  return [...new Set(needed)];
}

/** Text of /etc/hosts in the capture kernel. */
export function hostsOfPlan(plan: NetworkPlan | null): string {
  const remotes = (plan?.remotes ?? []).filter(({ name, address }) => name !== address);
  return ['127.0.0.1 localhost', ...remotes.map(({ name, address }) => `${address} ${name}`), ''].join('\n');
}
