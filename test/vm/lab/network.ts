// A network of two guests: a socket between two QEMUs. No interface of the host takes part.
import type { Qmp } from './qmp.ts';

/** Addresses of the ends, which are called so in /etc/hosts; systemd-networkd knows them by their MAC addresses. */
export const addresses = { server: '10.77.0.1', client: '10.77.0.2' } as const;

/** One end of the network. */
export type NetworkEnd = {
  role: keyof typeof addresses;
  /** Path of the socket. The server makes it, so it has to be started first; the client may come, go and come again. */
  socket: string;
};

const macAddresses = { server: '52:54:00:4b:44:01', client: '52:54:00:4b:44:02' } as const;
const netdev = 'net0';

/** Gives a machine its network card. Fails when the server of a client is not there. */
export async function connectNetwork(qmp: Qmp, end: NetworkEnd): Promise<void> {
  await qmp.execute('netdev_add', {
    type: 'stream',
    id: netdev,
    server: end.role === 'server',
    addr: { type: 'unix', path: end.socket },
  });
  await qmp.execute('device_add', {
    driver: 'virtio-net-pci',
    id: 'nic0',
    netdev,
    mac: macAddresses[end.role],
    // Nobody boots from it.
    romfile: '',
  });
}

/** Pulls the cable out of a machine, or puts it back: it loses its carrier, the other end only hears nothing more. */
export async function setLink(qmp: Qmp, up: boolean): Promise<void> {
  await qmp.execute('set_link', { name: netdev, up });
}
