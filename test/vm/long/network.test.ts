// The way to another machine, set up again in the capture kernel from what the running one knew: a leased address, a
// VLAN, a bond one of whose cables is out.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../../src/dump/verify.ts';
import { onlyDump, type RoadOptions, walkRoad } from '../lab/debian/road.ts';
import { type Server, startServer } from '../lab/debian/server.ts';
import { secondMac, setLink } from '../lab/network.ts';

/**
 * Shell: files of systemd-networkd by their names, in the place of those of the same name, read anew. A VLAN has the
 * hardware address of its card, so its own file has to come before that of the card.
 */
const networkd = (files: Record<string, string[]>): string => `
systemctl stop systemd-networkd.socket systemd-networkd
${Object.entries(files)
  .map(([name, lines]) => `cat >/etc/systemd/network/${name} <<'END'\n${lines.join('\n')}\nEND`)
  .join('\n')}
ip -4 address flush scope global
systemctl start systemd-networkd
`;
const quiet = ['LinkLocalAddressing=no', 'IPv6AcceptRA=no'];
const card = ['[Match]', 'MACAddress=52:54:00:4b:44:02', '[Network]', ...quiet];
/** Shell: waits until the server can be reached by such a name. */
const reached = (name: string): string =>
  `await 60 'ssh -o BatchMode=yes -o ConnectTimeout=5 kdump@${name} true' || finish "failed: ${name} cannot be reached"\n`;

let server: Server;
let scratch: string;
/** With what the capture kernel says on the way. */
const roads: [name: string, says: RegExp, options: Partial<RoadOptions>][] = [
  [
    'dhcp',
    /kdump: .* lease for \S+: 10\.77\.0\.1\d\d\/24/,
    { prepare: networkd({ 'client.network': [...card, 'DHCP=ipv4'] }) + reached('server') },
  ],
  [
    'vlan',
    /kdump: .* network is up, towards vlan-server/,
    {
      prepare: `${networkd({
        'client.network': [...card, 'VLAN=vlan7'],
        'vlan7.netdev': ['[NetDev]', 'Name=vlan7', 'Kind=vlan', '[VLAN]', 'Id=7'],
        '10-vlan7.network': ['[Match]', 'Name=vlan7', '[Network]', 'Address=10.78.0.2/24', ...quiet],
      })}
echo 10.78.0.1 vlan-server >>/etc/hosts
sed 's/^[^ ]*/10.78.0.1,vlan-server/' /root/.ssh/known_hosts >>/root/.ssh/known_hosts.more
cat /root/.ssh/known_hosts.more >>/root/.ssh/known_hosts
${reached('vlan-server')}`,
    },
  ],
  [
    'bond',
    // The kernel's own words.
    /bond7: \(slave \S+\): making interface the new active one/,
    {
      prepare:
        networkd({
          'client.network': [
            '[Match]',
            `MACAddress=52:54:00:4b:44:02 ${secondMac}`,
            '[Network]',
            'Bond=bond7',
          ],
          'bond7.netdev': [
            ...['[NetDev]', 'Name=bond7', 'Kind=bond'],
            ...['[Bond]', 'Mode=active-backup', 'MIIMonitorSec=100ms'],
          ],
          '10-bond7.network': ['[Match]', 'Name=bond7', '[Network]', 'Address=10.77.0.2/24', ...quiet],
        }) + reached('server'),
      whenArmed: ({ machine }) => setLink(machine.qmp, false, 'nic0'),
    },
  ],
];

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'kdump-server-'));
  server = await startServer({
    prepare: networkd({
      'server.network': [
        ...['[Match]', 'MACAddress=52:54:00:4b:44:01'],
        ...['[Network]', 'Address=10.77.0.1/24', 'VLAN=vlan7', 'DHCPServer=yes', ...quiet],
        ...['[DHCPServer]', 'PoolOffset=100', 'PoolSize=20'],
      ],
      'vlan7.netdev': ['[NetDev]', 'Name=vlan7', 'Kind=vlan', '[VLAN]', 'Id=7'],
      '10-vlan7.network': ['[Match]', 'Name=vlan7', '[Network]', 'Address=10.78.0.1/24', ...quiet],
    }),
    deadline: 1800,
  });
});
afterAll(async () => {
  await server?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

const walked: string[] = [];
test.each(roads)('a crash is saved by way of %s', async (name, says, options) => {
  const road = await walkRoad({
    conf: `ssh kdump@${name === 'vlan' ? 'vlan-server' : 'server'}\nsshkey /root/.ssh/id_ed25519\npath /srv/ssh/${name}\n`,
    network: { ...server.network, twoCards: name === 'bond' },
    ...options,
  });
  try {
    expect(road.said('enable').status).toBe(0);
    walked.push(name);
    expect(road.log).toMatch(says);
    expect(road.log).toMatch(/kdump: .* network is up, towards/);
    expect(road.log).not.toMatch(/kdump: .* (ip (addr|link|route)|.*\/sys\/class\/net.* does not take)/);
  } finally {
    await road.remove();
  }
});

test('and all of them are whole there', async () => {
  await server.stop();
  expect(await server.guest.read('root', '/srv/ssh', scratch)).toBe(true);
  for (const name of walked) {
    const { path, report } = onlyDump(join(scratch, name));
    expect(report).toMatchObject({ state: 'complete', errors: [] });
    expect(verify([join(path, 'vmcore.flat')], () => {})).toMatchObject({ ok: true });
  }
});
