import { describe, expect, it } from 'vitest';
import type { LinkFacts, NetworkFacts, RouteFacts } from '../../../src/kdump/network/facts.ts';
import { hostsOfPlan, modulesOfPlan, planNetwork } from '../../../src/kdump/network/plan.ts';

const mac = (last: number): string => `52:54:00:00:00:0${last}`;
const virtio = [{ driver: 'virtio_net', module: 'virtio_net', modalias: null }];
const card = (ifname: string, more: Partial<LinkFacts> = {}): LinkFacts => ({
  ifname,
  mtu: 1500,
  address: mac(1),
  addr_info: [],
  ...more,
});
const v4 = (local: string, more: object = {}) => ({
  family: 'inet',
  local,
  prefixlen: 24,
  scope: 'global',
  ...more,
});
const v6 = (local: string, more: object = {}) => ({ ...v4(local, more), family: 'inet6', prefixlen: 64 });
const facts = (links: LinkFacts[], route: RouteFacts, address = '192.0.2.7'): NetworkFacts => ({
  remotes: [{ name: 'dumps.example', address, route }],
  links,
  drivers: Object.fromEntries(
    links.map(({ ifname, linkinfo }) => [ifname, linkinfo?.info_kind === undefined ? virtio : []]),
  ),
});
const via = (dev: string): RouteFacts => ({ dev, gateway: '10.0.0.1', prefsrc: '10.0.0.2' });

describe('planNetwork', () => {
  it('finds a card by its address and leads to the remote alone', () => {
    const plan = planNetwork(facts([card('lo'), card('eth0', { addr_info: [v4('10.0.0.2')] })], via('eth0')));
    expect(plan).toEqual({
      remotes: [{ name: 'dumps.example', address: '192.0.2.7', source: '10.0.0.2' }],
      links: [
        {
          kind: 'device',
          name: 'eth0',
          mtu: 1500,
          mac: mac(1),
          setMac: null,
          drivers: virtio,
          addresses: [{ address: '10.0.0.2', prefix: 24 }],
          dhcp: false,
        },
      ],
      routes: [{ to: '192.0.2.7', via: '10.0.0.1', link: 'eth0' }],
    });
    expect(modulesOfPlan(plan)).toEqual([]);
    expect(hostsOfPlan(plan)).toBe('127.0.0.1 localhost\n192.0.2.7 dumps.example\n');
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });

  it('keeps addresses that last, of the families in use, and asks for leases where they were leased', () => {
    const addresses = [
      v4('10.0.0.2', { dynamic: true }),
      v4('169.254.0.9', { scope: 'link' }),
      v6('fd00::2', { dynamic: true }),
    ];
    const links = [card('eth0', { addr_info: addresses })];
    const [four] = planNetwork(facts(links, via('eth0'))).links;
    expect(four).toMatchObject({ dhcp: true, addresses: [{ address: '10.0.0.2' }] });
    const six = {
      addr_info: [...addresses, v6('fd00::99', { temporary: true }), v6('fd00::98', { deprecated: true })],
    };
    const plan = planNetwork(facts([card('eth0', six)], { dev: 'eth0', gateway: 'fe80::1' }, '2001:db8::1'));
    expect(plan.links[0]).toMatchObject({ dhcp: false, addresses: [{ address: 'fd00::2', prefix: 64 }] });
    expect(plan.remotes[0]!.source).toBeNull();
    expect(modulesOfPlan(plan)).toEqual(['ipv6']);
  });

  it('goes down through a VLAN and a bond, the cards first, by the addresses that they came with', () => {
    const plan = planNetwork(
      facts(
        [
          card('eth0', { master: 'bond0', permaddr: mac(7) }),
          card('eth1', { master: 'bond0', linkinfo: { info_slave_data: { perm_hwaddr: mac(8) } } }),
          card('bond0', {
            linkinfo: {
              info_kind: 'bond',
              info_data: {
                mode: '802.3ad',
                miimon: 0,
                xmit_hash_policy: 'layer3+4',
                ad_lacp_rate: 'fast',
              },
            },
          }),
          card('bond0.5', {
            link: 'bond0',
            mtu: 1400,
            linkinfo: { info_kind: 'vlan', info_data: { protocol: '802.1Q', id: 5 } },
            addr_info: [v4('10.0.0.2')],
          }),
        ],
        via('bond0.5'),
      ),
    );
    expect(plan.links.map(({ name }) => name)).toEqual(['eth0', 'eth1', 'bond0', 'bond0.5']);
    expect(plan.links).toMatchObject([
      { kind: 'device', mac: mac(7), setMac: null },
      { kind: 'device', mac: mac(8), setMac: null },
      {
        kind: 'bond',
        // Neither of its members has it.
        setMac: mac(1),
        members: ['eth0', 'eth1'],
        options: [
          ['mode', '802.3ad'],
          ['miimon', '100'],
          ['lacp_rate', 'fast'],
          ['xmit_hash_policy', 'layer3+4'],
        ],
      },
      { kind: 'vlan', on: 'bond0', id: 5, protocol: '802.1Q', mtu: 1400 },
    ]);
    expect(modulesOfPlan(plan)).toEqual(['bonding', '8021q']);
  });

  it('leaves a bond the address that it takes of its first member by itself', () => {
    const links = [
      card('eth0', { master: 'bond0', permaddr: mac(1) }),
      card('bond0', {
        linkinfo: { info_kind: 'bond', info_data: { mode: 'active-backup', ad_lacp_rate: 'slow' } },
        addr_info: [v4('10.0.0.2')],
      }),
    ];
    expect(planNetwork(facts(links, via('bond0'))).links).toMatchObject([
      {},
      // The kernel takes a rate of LACP only where that is spoken.
      { kind: 'bond', setMac: null, options: [['mode', 'active-backup']] },
    ]);
  });

  const bridge = card('br0', {
    linkinfo: { info_kind: 'bridge', info_data: { stp_state: 1 } },
    addr_info: [v4('10.0.0.2')],
  });

  it('lets the one way out take the place of its bridge, below a VLAN, too', () => {
    const links = [
      card('eth0', { master: 'br0' }),
      card('tap0', { master: 'br0', linkinfo: { info_kind: 'tun' } }),
      bridge,
      card('br0.7', { link: 'br0', linkinfo: { info_kind: 'vlan', info_data: { id: 7 } } }),
    ];
    const direct = planNetwork(facts(links, via('br0')));
    expect(direct.links).toMatchObject([
      { kind: 'device', name: 'eth0', addresses: [{ address: '10.0.0.2' }] },
    ]);
    expect(direct.routes).toMatchObject([{ link: 'eth0' }]);
    const above = planNetwork(facts(links, via('br0.7')));
    expect(above.links).toMatchObject([{ name: 'eth0' }, { name: 'br0.7', on: 'eth0' }]);
  });

  it('gives a card the addresses of its bridge, whichever of both is met first', () => {
    const links = [
      card('eth0', { master: 'br0' }),
      bridge,
      card('eth0.7', { link: 'eth0', linkinfo: { info_kind: 'vlan', info_data: { id: 7 } } }),
    ];
    const one = facts(links, via('eth0.7'));
    const plan = planNetwork({
      ...one,
      remotes: [...one.remotes, { name: 'b', address: '192.0.2.8', route: via('br0') }],
    });
    expect(plan.links).toMatchObject([
      { name: 'eth0', addresses: [{ address: '10.0.0.2' }] },
      { name: 'eth0.7' },
    ]);
  });

  it('sets up a bridge with several ways out', () => {
    const links = [card('eth0', { master: 'br0' }), card('eth1', { master: 'br0', address: mac(2) }), bridge];
    expect(planNetwork(facts(links, via('br0'))).links.at(-1)).toMatchObject({
      kind: 'bridge',
      members: ['eth0', 'eth1'],
      stp: true,
    });
  });

  it('sets the hardware address that the network knows the card by', () => {
    const links = [card('eth0', { permaddr: mac(9) })];
    expect(planNetwork(facts(links, via('eth0'))).links[0]).toMatchObject({ mac: mac(9), setMac: mac(1) });
  });

  it.each([
    ['a team', [card('team0', { linkinfo: { info_kind: 'team' } })], via('team0'), /kind "team"/],
    ['a tunnel', [card('wg0', { linkinfo: { info_kind: 'wireguard' } })], via('wg0'), /kind "wireguard"/],
    ['a link that is gone', [], via('eth0'), /does not list it/],
    ['an empty bridge', [bridge], via('br0'), /without a port/],
    ['an empty bond', [card('bond0', { linkinfo: { info_kind: 'bond' } })], via('bond0'), /without members/],
    [
      'links in a circle',
      [
        card('a', { link: 'b', linkinfo: { info_kind: 'vlan' } }),
        card('b', { link: 'a', linkinfo: { info_kind: 'vlan' } }),
      ],
      via('a'),
      /more than 8/,
    ],
    [
      'a card without an address',
      [card('ib0', { address: '00:00:00:00:00:00' })],
      via('ib0'),
      /hardware address/,
    ],
    ['this machine itself', [card('lo')], { type: 'local', dev: 'lo' }, /this machine itself/],
    ['a black hole', [], { type: 'blackhole' }, /type is blackhole/],
    [
      'a gateway of the other family',
      [card('eth0')],
      { dev: 'eth0', via: { host: 'fe80::1' } },
      /other family/,
    ],
  ])('refuses %s', (_, links, route, message) => {
    expect(() => planNetwork(facts(links as LinkFacts[], route as RouteFacts))).toThrow(message as RegExp);
  });
});
