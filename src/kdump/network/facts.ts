import { isIP } from 'node:net';
import { KdumpError } from '../../lib/errors.ts';
import { run, runOrThrow } from '../../system/processes.ts';
import { type BoundDriver, driversOfInterface } from '../image/drivers.ts';

/** How the running kernel reaches the machines that the capture has to reach; what `ip -json` says, as it says it. */
export type NetworkFacts = {
  readonly remotes: readonly RemoteFacts[];
  readonly links: readonly LinkFacts[];
  /** By the name of a link: the drivers below it, the bus first; none for a link that is made of others. */
  readonly drivers: Readonly<Record<string, readonly BoundDriver[]>>;
};

export type RemoteFacts = {
  /** As it was configured. */
  readonly name: string;
  readonly address: string;
  readonly route: RouteFacts;
};

/** Of `ip -json route get`. */
export type RouteFacts = {
  readonly type?: string;
  readonly dev?: string;
  readonly gateway?: string;
  /** A gateway of the other family. */
  readonly via?: { readonly host: string };
  readonly prefsrc?: string;
};

/** Of `ip -json -details address`. */
export type LinkFacts = {
  readonly ifname: string;
  readonly mtu?: number;
  readonly address?: string;
  /** The address that the hardware came with, where another one is set. */
  readonly permaddr?: string;
  /** What it stands on: the device below a VLAN. */
  readonly link?: string;
  /** The bond, bridge or team that it is part of. */
  readonly master?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
    readonly info_slave_data?: { readonly perm_hwaddr?: string };
  };
  readonly addr_info?: readonly AddressFacts[];
};

export type AddressFacts = {
  readonly family: string;
  readonly local?: string;
  readonly prefixlen: number;
  readonly scope?: string;
  /** It was leased, or made from an advertised prefix. */
  readonly dynamic?: boolean;
  readonly temporary?: boolean;
  readonly deprecated?: boolean;
  readonly tentative?: boolean;
  readonly dadfailed?: boolean;
};

/** Seconds for a question to the kernel, and for one to a name server. */
const kernelBound = 20;
const nameBound = 30;

/**
 * Asks the running kernel for its links and for the route to each of these machines; names are resolved here and now, so
 * that the capture kernel needs no name server.
 * @param hosts names or addresses
 * @param root directory that stands in for /, with sys in it
 * @throws KdumpError `host-unknown`, `no-route`, and those of the program ip
 */
export function readNetworkFacts(hosts: readonly string[], root = '/'): NetworkFacts {
  const links = parse<LinkFacts>(ip('-details', 'address', 'show'));
  return {
    remotes: [...new Set(hosts.map(withoutBrackets))].map((name) => {
      const address = resolveHost(name);
      return { name, address, route: routeTo(name, address) };
    }),
    links,
    drivers: Object.fromEntries(links.map(({ ifname }) => [ifname, driversOfInterface(ifname, root)])),
  };
}

/** An IPv6 address stands in brackets where a colon follows it. */
const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

const ip = (...args: string[]) => runOrThrow('ip', ['-json', ...args], { timeout: kernelBound }).stdout;

function parse<T>(output: Buffer): T[] {
  // What is no link of this kind is printed as {}.
  return (JSON.parse(output.toString() || '[]') as T[]).filter(
    (entry) => Object.keys(entry as object).length,
  );
}

function routeTo(name: string, address: string): RouteFacts {
  const noRoute = (why: string): KdumpError =>
    new KdumpError('no-route', `there is no route to ${name} (${address}): ${why}`, {
      fix: 'Bring the network up before the machine is armed, or name another target.',
      facts: { host: name, address },
    });
  const { status, stdout, stderr } = run('ip', ['-json', 'route', 'get', address], {
    timeout: kernelBound,
  });
  const [route] = status === 0 ? parse<RouteFacts>(stdout) : [];
  if (route === undefined) throw noRoute(stderr.trim().replaceAll('\n', '; ') || 'the kernel names none');
  return route;
}

/**
 * The address of a host, by the rules of this machine (hosts, DNS …). Of several addresses of the family that is preferred
 * the lowest counts: a name server that turns them around shall not make another image every time.
 * @throws KdumpError `host-unknown`
 */
export function resolveHost(host: string): string {
  if (isIP(host)) return host;
  const unknown = (why: string): KdumpError =>
    new KdumpError('host-unknown', `${host} cannot be resolved: ${why}`, {
      fix: 'Write its address to /etc/hosts, or name it by its address.',
      facts: { host },
    });
  const { status, stdout } = run('getent', ['ahosts', '--', host], { timeout: nameBound });
  const found = stdout
    .toString()
    .split('\n')
    .map((line) => line.split(/\s/, 1)[0]!)
    .filter((address) => isIP(address) && !address.startsWith('fe80:'));
  if (status !== 0 || found[0] === undefined) throw unknown('neither /etc/hosts nor a name server knows it');
  const family = isIP(found[0]);
  return found.filter((address) => isIP(address) === family).sort()[0]!;
}
