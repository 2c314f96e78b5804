import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bringUp, leaseScriptText } from '../../../src/kdump/network/apply.ts';
import type { Card, NetworkMachine } from '../../../src/kdump/network/machine.ts';
import type { DeviceLink, NetworkPlan, PlannedLink } from '../../../src/kdump/network/network-plan.ts';

const device = (name: string, mac: string, more: Partial<DeviceLink> = {}): DeviceLink => ({
  kind: 'device',
  name,
  mac,
  mtu: null,
  setMac: null,
  drivers: [{ driver: 'virtio_net', module: 'virtio_net', modalias: null }],
  addresses: [],
  dhcp: false,
  ...more,
});
const four = [{ address: '10.0.0.2', prefix: 24 }];
const planOf = (links: PlannedLink[], link: string): NetworkPlan => ({
  remotes: [{ name: 'server', address: '192.0.2.7', source: '10.0.0.2' }],
  links,
  routes: [{ to: '192.0.2.7', via: '10.0.0.1', link }],
});

/** A machine of which only the clock moves; `files` is what it has in /sys, /proc and /run. */
function fake(cards: readonly Card[], files: Record<string, string> = {}) {
  let now = 10;
  const done: string[] = [];
  const said: string[] = [];
  const machine: NetworkMachine = {
    uptime: () => now,
    sleep: (seconds) => {
      now += seconds;
    },
    promise: () => {},
    say: (line) => void said.push(line),
    run: (program, args) => {
      done.push([program, ...args].join(' '));
      return program === 'udhcpc' && files.lease === undefined ? 'no lease' : null;
    },
    cards: () => cards,
    hasAddress: (_, address) => done.some((line) => line.includes(`addr add ${address}/`)),
    read: (path) => (path.startsWith('/run/') ? (files.lease ?? null) : (files[path] ?? null)),
    write: (path, text) => void done.push(`${text} > ${path}`),
  };
  return { machine, done, said, waited: () => now - 10 };
}
const card = (name: string, mac: string, driver = 'virtio_net'): Card => ({ name, mac, driver });
const carrier = (name: string) => ({ [`/sys/class/net/${name}/carrier`]: '1\n' });

describe('bringUp', () => {
  it('finds a card by its address, whatever it is called now', () => {
    const { machine, done, said } = fake([card('eth1', 'AA:01'), card('eth0', 'aa:02')], carrier('eth1'));
    bringUp(planOf([device('ens3', 'aa:01', { mtu: 9000, addresses: four })], 'ens3'), machine);
    expect(done).toEqual([
      'ip link set dev lo up',
      'ip link set dev eth1 mtu 9000',
      '0 > /proc/sys/net/ipv6/conf/eth1/accept_dad',
      'ip link set dev eth1 up',
      'ip addr add 10.0.0.2/24 dev eth1',
      'ip route replace 10.0.0.1 dev eth1',
      'ip route replace 192.0.2.7 via 10.0.0.1 src 10.0.0.2 dev eth1',
    ]);
    expect(said).toEqual([
      'network card aa:01 is eth1, ens3 before the crash',
      'network is up, towards server',
    ]);
  });

  it('prefers the card with the driver that it had, where two share an address', () => {
    const { machine, done } = fake([card('vf', 'aa:01', 'mlx5_core'), card('net', 'aa:01')], carrier('net'));
    bringUp(planOf([device('net', 'aa:01', { addresses: four })], 'net'), machine);
    expect(done).toContain('ip link set dev net up');
    expect(done).not.toContain('ip link set dev vf up');
  });

  it('makes a bond and a VLAN on it, the mode first and the members down', () => {
    const files = { '/sys/class/net/bond0/ifindex': '3', ...carrier('bond0.5') };
    const { machine, done } = fake([card('eth0', 'aa:01')], files);
    bringUp(
      planOf(
        [
          device('eth0', 'aa:01'),
          {
            ...device('bond0', ''),
            kind: 'bond',
            members: ['eth0'],
            options: [['mode', 'active-backup']],
          } as PlannedLink,
          {
            ...device('bond0.5', '', { addresses: four }),
            kind: 'vlan',
            on: 'bond0',
            id: 5,
            protocol: '802.1Q',
          } as PlannedLink,
        ],
        'bond0.5',
      ),
      machine,
    );
    expect(done.filter((line) => !/accept_dad|route|addr|lo up/.test(line))).toEqual([
      'ip link set dev eth0 up',
      // It is there already: loading the module has made it.
      'ip link set dev bond0 down',
      'active-backup > /sys/class/net/bond0/bonding/mode',
      'ip link set dev eth0 down',
      '+eth0 > /sys/class/net/bond0/bonding/slaves',
      'ip link set dev bond0 up',
      'ip link add link bond0 name bond0.5 type vlan protocol 802.1Q id 5',
      'ip link set dev bond0.5 up',
    ]);
  });

  it('takes a lease, and its router where it is another network', () => {
    const plan = planOf([device('eth0', 'aa:01', { addresses: four, dhcp: true })], 'eth0');
    const other = fake([card('eth0', 'aa:01')], { ...carrier('eth0'), lease: '10.9.0.5 16 10.9.0.1\n' });
    bringUp(plan, other.machine);
    expect(other.done.find((line) => line.startsWith('udhcpc'))).toMatch(/-r 10\.0\.0\.2$/);
    expect(other.done).toContain('ip addr add 10.9.0.5/16 dev eth0');
    expect(other.done).not.toContain('ip addr add 10.0.0.2/24 dev eth0');
    expect(other.done.at(-1)).toBe('ip route replace 192.0.2.7 via 10.9.0.1 dev eth0');
    const same = fake([card('eth0', 'aa:01')], { ...carrier('eth0'), lease: '10.0.0.2 24 \n' });
    bringUp(plan, same.machine);
    expect(same.done.at(-1)).toBe('ip route replace 192.0.2.7 via 10.0.0.1 src 10.0.0.2 dev eth0');
  });

  it('keeps the former addresses when nobody gives a lease', () => {
    const { machine, done, said } = fake([card('eth0', 'aa:01')], carrier('eth0'));
    bringUp(planOf([device('eth0', 'aa:01', { addresses: four, dhcp: true })], 'eth0'), machine);
    expect(done).toContain('ip addr add 10.0.0.2/24 dev eth0');
    expect(said).toContainEqual(expect.stringMatching(/^no lease for eth0/));
  });

  it('does not wait for ever for a card, nor for a carrier', () => {
    const none = fake([]);
    expect(() => bringUp(planOf([device('eth0', 'aa:01')], 'eth0'), none.machine)).toThrow(
      expect.objectContaining({ code: 'card-missing', facts: expect.objectContaining({ mac: 'aa:01' }) }),
    );
    expect(none.waited()).toBeLessThan(31);
    const dark = fake([card('eth0', 'aa:01')]);
    bringUp(planOf([device('eth0', 'aa:01', { addresses: four })], 'eth0'), dark.machine);
    expect(dark.waited()).toBeLessThan(41);
    expect(dark.said).toContainEqual(expect.stringMatching(/no carrier/));
    expect(dark.done.at(-1)).toMatch(/^ip route replace 192/);
  });
});

it('the lease script writes down what it is told, and does nothing else', () => {
  const environment = { ip: '10.0.0.9', mask: '24', router: '10.0.0.1 10.0.0.3', interface: 'kdump-test' };
  const call = (event: string) =>
    spawnSync('sh', ['-c', leaseScriptText, 'lease', event], { env: { ...environment, PATH: '/bin' } });
  expect(call('deconfig').status).toBe(0);
  expect(leaseScriptText).toContain('/run/kdump-lease-$interface');
});

/** In a network namespace of its own, with the very ip of the image: what recorded answers cannot tell. */
const canUnshare = spawnSync('unshare', ['-n', 'busybox', 'ip', 'link']).status === 0;

describe.runIf(canUnshare)('on a real kernel', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kdump-network-'));
  const bundle = join(directory, 'apply.mjs');
  beforeAll(async () => {
    const source = (name: string) =>
      JSON.stringify(fileURLToPath(new URL(`../../../src/kdump/network/${name}.ts`, import.meta.url)));
    await build({
      stdin: {
        contents: `import { bringUp } from ${source('apply')};
import { localNetwork } from ${source('machine')};
const side = { uptime: () => performance.now() / 1000, sleep() {}, promise() {}, say: (line) => console.log(line) };
bringUp(JSON.parse(process.argv[2]), localNetwork(side));`,
        resolveDir: directory,
      },
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'esm',
    });
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('busybox takes every word: addresses and routes of both families, MTU, hardware address, bridge', () => {
    const mac = '02:00:00:00:00:01';
    const other = '02:00:00:00:00:02';
    const plan: NetworkPlan = {
      remotes: [
        { name: 'four', address: '192.0.2.7', source: '10.0.0.2' },
        { name: 'six', address: '2001:db8::7', source: 'fd00::2' },
      ],
      links: [
        device('lan0', mac, { mtu: 1400, setMac: '02:00:00:00:00:09' }),
        device('lan1', other),
        {
          ...device('br9', '', { addresses: [...four, { address: 'fd00::2', prefix: 64 }] }),
          kind: 'bridge',
          members: ['lan0', 'lan1'],
          stp: false,
        } as PlannedLink,
      ],
      routes: [
        { to: '192.0.2.7', via: '10.0.0.1', link: 'br9' },
        { to: '2001:db8::7', via: 'fd00::1', link: 'br9' },
      ],
    };
    const script = `mkdir "$1/bin" && ln -s "$(command -v busybox)" "$1/bin/ip"
ip link add card0 type veth peer name card1
ip link set dev card0 address ${mac}; ip link set dev card1 address ${other}
PATH="$1/bin" "$2" "$1/apply.mjs" "$3" || exit 1
echo ---
ip -o addr show br9; ip -o link show card0; ip route; ip -6 route; cat /sys/class/net/br9/carrier`;
    const result = spawnSync(
      'unshare',
      [
        '-n',
        '-m',
        'sh',
        '-c',
        `mount -t sysfs sysfs /sys; ${script}`,
        'sh',
        directory,
        process.execPath,
        JSON.stringify(plan),
      ],
      { timeout: 60_000 },
    );
    const [told, state] = result.stdout.toString().split('---\n');
    expect(result.stderr.toString()).toBe('');
    expect(told!.trim().split('\n')).toEqual([
      `network card ${mac} is card0, lan0 before the crash`,
      `network card ${other} is card1, lan1 before the crash`,
      'network is up, towards four, six',
    ]);
    expect(state).toMatch(/inet 10\.0\.0\.2\/24/);
    expect(state).toMatch(/inet6 fd00::2\/64 scope global(?! tentative)/);
    expect(state).toMatch(/mtu 1400 .*master br9.*02:00:00:00:00:09/s);
    expect(state).toMatch(/^192\.0\.2\.7 via 10\.0\.0\.1 dev br9/m);
    expect(state).toMatch(/^2001:db8::7 via fd00::1 dev br9/m);
    expect(state).toMatch(/\n1\n$/);
    expect(readFileSync(bundle, 'utf8')).not.toMatch(/koffi/);
  }, 60_000);
});
