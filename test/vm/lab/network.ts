// A network of two guests: a socket between two QEMUs. No interface of the host takes part.
import type { Qmp } from './qmp.ts';

/** Addresses of the ends, which are called so in /etc/hosts; systemd-networkd knows them by their MAC addresses. */
export const addresses = { server: '10.77.0.1', client: '10.77.0.2' } as const;

/** One end of the network. */
export type NetworkEnd = {
  role: keyof typeof addresses;
  /** Path of the socket. The server makes it, so it has to be started first; the client may come, go and come again. */
  socket: string;
  /** A second card on the same wire, nic1. */
  twoCards?: boolean;
};

const macAddresses = { server: '52:54:00:4b:44:01', client: '52:54:00:4b:44:02' } as const;
/** Of the second card of a machine that has two. */
export const secondMac = '52:54:00:4b:44:03';
const netdev = 'net0';

/** Gives a machine its network card, or cards. Fails when the server of a client is not there. */
export async function connectNetwork(qmp: Qmp, end: NetworkEnd): Promise<void> {
  await qmp.execute('netdev_add', {
    type: 'stream',
    id: netdev,
    server: end.role === 'server',
    addr: { type: 'unix', path: end.socket },
  });
  const mac = macAddresses[end.role];
  if (end.twoCards !== true) return addCard(qmp, 'nic0', netdev, mac);
  // QEMU's hub takes the wire's end and passes on what comes to every port.
  const hub = { type: 'hubport', hubid: 0 };
  await qmp.execute('netdev_add', { ...hub, id: 'wire', netdev });
  for (const [index, address] of [mac, secondMac].entries()) {
    await qmp.execute('netdev_add', { ...hub, id: `port${index}` });
    await addCard(qmp, `nic${index}`, `port${index}`, address);
  }
}

async function addCard(qmp: Qmp, id: string, netdev: string, mac: string): Promise<void> {
  // Nobody boots from it.
  await qmp.execute('device_add', { driver: 'virtio-net-pci', id, netdev, mac, romfile: '' });
}

/**
 * Pulls the cable out of a machine, or puts it back: it loses its carrier, the other end only hears nothing more.
 * @param name of one card among two
 */
export async function setLink(qmp: Qmp, up: boolean, name = netdev): Promise<void> {
  await qmp.execute('set_link', { name, up });
}
