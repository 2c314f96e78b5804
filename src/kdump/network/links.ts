import { KdumpError } from '../../lib/errors.ts';
import type { AddressFacts, LinkFacts, NetworkFacts } from './facts.ts';
import type { BondLink, PlannedAddress, PlannedLink } from './network-plan.ts';

/** What is kept of a link's addresses. */
type KeepAddresses = (addresses: readonly AddressFacts[]) => { addresses: PlannedAddress[]; dhcp: boolean };

/**
 * Follows links down to the cards that they stand on.
 * @param wanted names of the links that routes lead through
 * @returns the links, those below first; and which of them takes the place of a wanted one: a bridge with one way out is
 * not set up, since the machines behind its other ports are gone, and its addresses go to that way out
 * @throws KdumpError `network-unsupported`
 */
export function planLinks(
  { links: all, drivers }: NetworkFacts,
  wanted: readonly string[],
  keep: KeepAddresses,
): { links: PlannedLink[]; standsFor: (name: string) => string } {
  const planned = new Map<string, PlannedLink>();
  const replaced = new Map<string, string>();
  const standsFor = (name: string): string => replaced.get(name) ?? name;
  const factsOf = (name: string): LinkFacts => {
    const facts = all.find(({ ifname }) => ifname === name);
    if (facts === undefined) throw unsupported(name, 'the kernel does not list it');
    return facts;
  };
  const membersOf = (name: string): LinkFacts[] => all.filter(({ master }) => master === name);
  const isCard = ({ ifname, linkinfo }: LinkFacts): boolean =>
    linkinfo?.info_kind === undefined || (drivers[ifname]?.length ?? 0) > 0;

  /** Whether a port of a bridge leads out of this machine, and not to one of its guests. */
  const leadsOut = (link: LinkFacts): boolean =>
    isCard(link) || ['vlan', 'bond', 'bridge'].includes(link.linkinfo?.info_kind ?? '');

  /** @param carried addresses of a bridge that this link takes the place of */
  const add = (name: string, carried: readonly AddressFacts[] = [], depth = 0): void => {
    const already = planned.get(standsFor(name));
    if (already !== undefined) {
      if (carried.length > 0) planned.set(already.name, joined(already, keep(carried)));
      return;
    }
    if (depth > deepest) throw unsupported(name, `it stands on more than ${deepest} others`);
    const facts = factsOf(name);
    const kind = facts.linkinfo?.info_kind;
    const data = facts.linkinfo?.info_data ?? {};
    const addresses = [...carried, ...(facts.addr_info ?? [])];
    const base = { name, mtu: facts.mtu ?? null, setMac: null, ...keep(addresses) };

    if (isCard(facts)) {
      const mac = facts.permaddr ?? facts.linkinfo?.info_slave_data?.perm_hwaddr ?? facts.address;
      if (mac === undefined || /^(00:)*00$/.test(mac))
        throw unsupported(name, 'it has no hardware address by which it could be found');
      // A bond gives its own address to its members by itself.
      const setMac =
        facts.master === undefined && facts.address !== undefined && facts.address !== mac
          ? facts.address
          : null;
      planned.set(name, { ...base, kind: 'device', mac, setMac, drivers: drivers[name] ?? [] });
    } else if (kind === 'vlan') {
      if (facts.link === undefined) throw unsupported(name, 'what it stands on is in another namespace');
      add(facts.link, [], depth + 1);
      planned.set(name, {
        ...base,
        kind,
        on: standsFor(facts.link),
        id: Number(data.id),
        protocol: typeof data.protocol === 'string' ? data.protocol : '802.1Q',
      });
    } else if (kind === 'bond') {
      const members = membersOf(name).map(({ ifname }) => ifname);
      if (members.length === 0) throw unsupported(name, 'it is a bond without members');
      for (const member of members) add(member, [], depth + 1);
      // Left to itself, a bond takes the address of its first member; its leases are tied to the one that it has.
      const first = planned.get(standsFor(members[0]!));
      const isOfFirst = first?.kind === 'device' && first.mac === facts.address;
      const setMac = isOfFirst ? null : (facts.address ?? null);
      planned.set(name, { ...base, kind, setMac, members, options: bondOptions(data) });
    } else if (kind === 'bridge') {
      const ports = membersOf(name)
        .filter(leadsOut)
        .map(({ ifname }) => ifname);
      const [only] = ports;
      if (only === undefined)
        throw unsupported(name, 'it is a bridge without a port that leads out of this machine');
      if (ports.length === 1) {
        add(only, addresses, depth + 1);
        replaced.set(name, standsFor(only));
        return;
      }
      for (const port of ports) add(port, [], depth + 1);
      planned.set(name, { ...base, kind, members: ports, stp: Number(data.stp_state ?? 0) !== 0 });
    } else {
      throw unsupported(name, `the capture image does not set up links of the kind "${kind}"`);
    }
  };

  for (const name of wanted) add(name);
  return { links: [...planned.values()], standsFor };
}

const deepest = 8;

const joined = (link: PlannedLink, more: ReturnType<KeepAddresses>): PlannedLink => ({
  ...link,
  addresses: [...more.addresses, ...link.addresses],
  dhcp: link.dhcp || more.dhcp,
});

/**
 * Options of a bond that decide whether the switch talks to it, by their names in the netlink attributes as ip prints them
 * and in sysfs. The mode is first: others depend on it.
 */
const bondFiles = [
  ['mode', 'mode'],
  ['miimon', 'miimon'],
  ['ad_lacp_rate', 'lacp_rate'],
  ['xmit_hash_policy', 'xmit_hash_policy'],
] as const;
const defaultMiimon = '100';

function bondOptions(data: Readonly<Record<string, unknown>>): BondLink['options'] {
  return bondFiles.flatMap(([key, file]) => {
    const value = data[key];
    if (value === undefined || value === null) return [];
    // ip prints it in every mode, the kernel takes it in one.
    if (key === 'ad_lacp_rate' && data.mode !== '802.3ad') return [];
    // ARP monitoring is not carried over; without any monitoring a bond does not notice that its link is down.
    if (key === 'miimon' && Number(value) === 0) return [[file, defaultMiimon] as const];
    return [[file, String(value)] as const];
  });
}

function unsupported(name: string, why: string): KdumpError {
  return new KdumpError('network-unsupported', `the way to the target leads through ${name}: ${why}`, {
    fix: 'Name a target that is reached through a card, VLAN, bond or bridge, or write image_builder dracut to /etc/kdump.conf.',
    facts: { link: name },
  });
}
