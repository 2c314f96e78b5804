import { isIPv6 } from 'node:net';
import { KdumpError } from '../../lib/errors.ts';
import type { BoundDriver } from '../image/drivers.ts';
import type { AddressFacts, NetworkFacts, RemoteFacts } from './facts.ts';
import { planLinks } from './links.ts';

/**
 * The network that the capture kernel sets up: no more of it than what leads to the machines that it has to reach. Made
 * from what the running kernel knows, so it does not matter who has set that up. Plain JSON.
 */
export type NetworkPlan = {
  readonly remotes: readonly PlannedRemote[];
  /** In the order in which they are set up: what stands on another link follows it. */
  readonly links: readonly PlannedLink[];
  readonly routes: readonly PlannedRoute[];
};

export type PlannedRemote = {
  /** As it was configured. */
  readonly name: string;
  readonly address: string;
  /** Our own address towards it; null when the kernel names none. */
  readonly source: string | null;
};

export type PlannedLink = DeviceLink | VlanLink | BondLink | BridgeLink;

type LinkBase = {
  readonly name: string;
  readonly mtu: number | null;
  /** Hardware address to set; null: it keeps its own. */
  readonly setMac: string | null;
  readonly addresses: readonly PlannedAddress[];
  /** The addresses of IPv4 were leased: ask for a lease, and take these when none is given. */
  readonly dhcp: boolean;
};
/** A network card: found by the address that it came with, since names differ from kernel to kernel. */
export type DeviceLink = LinkBase & {
  readonly kind: 'device';
  readonly mac: string;
  /** From the bus to the card. */
  readonly drivers: readonly BoundDriver[];
};
export type VlanLink = LinkBase & {
  readonly kind: 'vlan';
  readonly on: string;
  readonly id: number;
  /** `802.1Q` or `802.1ad` */
  readonly protocol: string;
};
export type BondLink = LinkBase & {
  readonly kind: 'bond';
  readonly members: readonly string[];
  /** Files of /sys/class/net/NAME/bonding with what is to be written there, in order. */
  readonly options: readonly (readonly [file: string, value: string])[];
};
export type BridgeLink = LinkBase & {
  readonly kind: 'bridge';
  readonly members: readonly string[];
  readonly stp: boolean;
};

export type PlannedAddress = { readonly address: string; readonly prefix: number };

export type PlannedRoute = {
  /** The machine it leads to, and no other. */
  readonly to: string;
  /** null: it is a neighbour. */
  readonly via: string | null;
  readonly link: string;
};

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
