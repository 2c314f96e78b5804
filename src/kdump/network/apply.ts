import { isIPv6 } from 'node:net';
import { KdumpError } from '../../lib/errors.ts';
import type { NetworkMachine } from './machine.ts';
import type {
  BondLink,
  BridgeLink,
  DeviceLink,
  NetworkPlan,
  PlannedLink,
  PlannedRoute,
} from './network-plan.ts';

/** Seconds for a card to appear once its driver is loaded: firmware, and buses that take their time. */
const appearBound = 30;
/** Seconds for a link to find its partner; a switch that negotiates a bond takes a while. */
const carrierBound = 40;
const commandBound = 20;
const leaseBound = 60;
const pause = 0.2;

/** Written by the image's builder; called by the DHCP client. */
export const leaseScript = '/usr/lib/kdump/lease.sh';
/** Writes down what was leased, and leaves the rest to bringUp(). */
export const leaseScriptText = `#!/bin/sh
[ "$1" = bound ] && echo "$ip $mask $router" > "/run/kdump-lease-$interface"
exit 0
`;

/**
 * Sets up the network in the capture kernel, where nothing has touched it yet. Every wait is bounded. What fails on the
 * way is said and passed over while there is a chance that the rest is enough.
 * @throws KdumpError `card-missing` when a card that others stand on does not appear
 */
export function bringUp(plan: NetworkPlan, machine: NetworkMachine): void {
  const names = new Map<string, string>();
  const nameOf = (link: string): string => names.get(link) ?? link;
  command(machine, 'link', 'set', 'dev', 'lo', 'up');
  for (const link of plan.links) {
    if (link.kind === 'device') names.set(link.name, waitForCard(link, machine));
    else make(link, nameOf, machine);
    raise(link, nameOf(link.name), machine);
  }
  const routes = new Map<string, PlannedRoute>(plan.routes.map((route) => [route.to, route]));
  for (const link of plan.links.filter(({ addresses }) => addresses.length > 0)) {
    const name = nameOf(link.name);
    waitForCarrier(name, machine);
    for (const [to, route] of setAddresses(link, name, plan.routes, machine)) routes.set(to, route);
  }
  for (const route of routes.values()) setRoute(route, plan, nameOf(route.link), machine);
  const reached = plan.remotes.map(({ name }) => name).join(', ');
  machine.say(`network is up${reached === '' ? '' : `, towards ${reached}`}`);
}

function waitForCard({ mac, name, drivers }: DeviceLink, machine: NetworkMachine): string {
  machine.promise(appearBound + commandBound);
  const driver = drivers.at(-1)?.driver;
  const found = waitFor(machine, appearBound, () => {
    const cards = machine.cards().filter((card) => card.mac.toLowerCase() === mac.toLowerCase());
    // A virtual function may have the address of the card that it speeds up.
    return (cards.find((card) => card.driver === driver) ?? cards[0])?.name;
  });
  if (found === undefined)
    throw new KdumpError('card-missing', `network card ${mac} did not appear within ${appearBound} s`, {
      fix: `Build the image with the driver of ${name}${driver === undefined ? '' : ` (${driver})`}: extra_modules in /etc/kdump.conf.`,
      facts: { mac, link: name, driver },
    });
  machine.say(`network card ${mac} is ${found}${found === name ? '' : `, ${name} before the crash`}`);
  return found;
}

/** Makes a link that stands on others. Loading bonding makes a bond by itself, so it may be there. */
function make(
  link: Exclude<PlannedLink, DeviceLink>,
  nameOf: (link: string) => string,
  machine: NetworkMachine,
): void {
  const there = machine.read(`/sys/class/net/${link.name}/ifindex`) !== null;
  if (link.kind === 'vlan') {
    const words = ['type', 'vlan', 'protocol', link.protocol, 'id', String(link.id)];
    if (!there) command(machine, 'link', 'add', 'link', nameOf(link.on), 'name', link.name, ...words);
    return;
  }
  if (!there) command(machine, 'link', 'add', 'name', link.name, 'type', link.kind);
  if (link.kind === 'bond') enslave(link, nameOf, machine);
  else bridge(link, nameOf, machine);
}

/** A bond takes its mode while it has no members, and members while they are down. */
function enslave(link: BondLink, nameOf: (link: string) => string, machine: NetworkMachine): void {
  const directory = `/sys/class/net/${link.name}/bonding`;
  command(machine, 'link', 'set', 'dev', link.name, 'down');
  for (const [file, value] of link.options) machine.write(`${directory}/${file}`, value);
  for (const member of link.members.map(nameOf)) {
    command(machine, 'link', 'set', 'dev', member, 'down');
    machine.write(`${directory}/slaves`, `+${member}`);
  }
}

function bridge(link: BridgeLink, nameOf: (link: string) => string, machine: NetworkMachine): void {
  machine.write(`/sys/class/net/${link.name}/bridge/stp_state`, link.stp ? '1' : '0');
  // Without the protocol there is nothing to wait for.
  if (!link.stp) machine.write(`/sys/class/net/${link.name}/bridge/forward_delay`, '0');
  for (const member of link.members.map(nameOf))
    command(machine, 'link', 'set', 'dev', member, 'master', link.name);
}

function raise({ mtu, setMac }: PlannedLink, name: string, machine: NetworkMachine): void {
  if (setMac !== null) command(machine, 'link', 'set', 'dev', name, 'address', setMac);
  if (mtu !== null && machine.read(`/sys/class/net/${name}/mtu`)?.trim() !== String(mtu))
    command(machine, 'link', 'set', 'dev', name, 'mtu', String(mtu));
  // The addresses were this machine's a minute ago: no need to ask the neighbours whether they are free.
  machine.write(`/proc/sys/net/ipv6/conf/${name}/accept_dad`, '0');
  command(machine, 'link', 'set', 'dev', name, 'up');
}

function waitForCarrier(name: string, machine: NetworkMachine): void {
  machine.promise(carrierBound + commandBound);
  const isUp = waitFor(machine, carrierBound, () =>
    machine.read(`/sys/class/net/${name}/carrier`)?.trim() === '1' ? true : undefined,
  );
  if (!isUp) machine.say(`${name} has no carrier after ${carrierBound} s: is its cable in?`);
}

/** @returns routes that a lease has changed */
function setAddresses(
  link: PlannedLink,
  name: string,
  routes: readonly PlannedRoute[],
  machine: NetworkMachine,
): [string, PlannedRoute][] {
  const lease = link.dhcp ? askForLease(link, name, machine) : undefined;
  const isAsBefore = lease === undefined || link.addresses.some(({ address }) => address === lease.address);
  for (const { address, prefix } of link.addresses)
    if (isIPv6(address) || isAsBefore) addAddress(name, address, prefix, machine);
  if (lease === undefined || isAsBefore) return [];
  addAddress(name, lease.address, lease.prefix, machine);
  return routes
    .filter((route) => route.link === link.name && route.via !== null && !isIPv6(route.via))
    .map((route) => [route.to, { ...route, via: lease.router ?? route.via }]);
}

const addAddress = (name: string, address: string, prefix: number, machine: NetworkMachine): void =>
  command(machine, ...family(address), 'addr', 'add', `${address}/${prefix}`, 'dev', name);

type Lease = { readonly address: string; readonly prefix: number; readonly router: string | null };

function askForLease(link: PlannedLink, name: string, machine: NetworkMachine): Lease | undefined {
  machine.promise(leaseBound + commandBound);
  const former = link.addresses.find(({ address }) => !isIPv6(address))?.address;
  const words = ['-i', name, '-f', '-n', '-q', '-t', '5', '-T', '3', '-s', leaseScript];
  const failure = machine.run(
    'udhcpc',
    [...words, ...(former === undefined ? [] : ['-r', former])],
    leaseBound,
  );
  const [, address, prefix, router] =
    /^([\d.]+) (\d+) ?([\d.]*)/.exec(machine.read(`/run/kdump-lease-${name}`) ?? '') ?? [];
  if (failure !== null || address === undefined) {
    machine.say(
      `no lease for ${name}, its addresses stay as they were: ${failure ?? 'the client told none'}`,
    );
    return undefined;
  }
  machine.say(`lease for ${name}: ${address}/${prefix}`);
  return { address, prefix: Number(prefix), router: router || null };
}

function setRoute({ to, via }: PlannedRoute, plan: NetworkPlan, name: string, machine: NetworkMachine): void {
  const source = plan.remotes.find(({ address }) => address === to)?.source ?? null;
  const route = (...words: string[]): void =>
    command(machine, ...family(to), 'route', 'replace', ...words, 'dev', name);
  // A gateway need not lie within the prefix of an address; to one that does, this adds nothing.
  if (via !== null && !via.startsWith('fe80:')) route(via);
  route(to, ...(via === null ? [] : ['via', via]), ...sourceWords(source, name, machine));
}

/** An address that a lease has replaced is none to send from. busybox knows no source for IPv6. */
function sourceWords(source: string | null, name: string, machine: NetworkMachine): string[] {
  if (source === null || isIPv6(source)) return [];
  return machine.hasAddress(name, source) ? ['src', source] : [];
}

const family = (address: string): string[] => (isIPv6(address) ? ['-6'] : []);

/** Runs ip. What it refuses is said: the rest may still be enough. */
function command(machine: NetworkMachine, ...args: string[]): void {
  const failure = machine.run('ip', args, commandBound);
  if (failure !== null) machine.say(`ip ${args.join(' ')}: ${failure}`);
}

function waitFor<T>(machine: NetworkMachine, seconds: number, look: () => T | undefined): T | undefined {
  const until = machine.uptime() + seconds;
  for (;;) {
    const found = look();
    if (found !== undefined || machine.uptime() >= until) return found;
    machine.sleep(pause);
  }
}
