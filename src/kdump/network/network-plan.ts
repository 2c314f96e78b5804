import type { BoundDriver } from '../image/drivers.ts';

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
