import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { isMissing } from './memory.ts';
import type { KernelObject } from './object.ts';
import { inodeType, openFiles } from './open-files.ts';
import type { KernelTask } from './tasks.ts';

/** A network interface, and its addresses as text. */
export type NetworkDevice = {
  readonly object: KernelObject;
  readonly name: string;
  readonly addresses: readonly string[];
};

const mostAddresses = 4096;

/** Interfaces of the network namespace of a task; of the first one without a task. */
export function networkDevices(kernel: Kernel, task?: KernelTask): NetworkDevice[] {
  const own = task && known(task.object.follow('nsproxy') as KernelObject);
  const pointed = known(own?.deref());
  const net = known(pointed?.member('net_ns').integer()) ?? kernel.core.address('init_net');
  if (!net) return [];
  const head = kernel.object('net', net).member('dev_base_head').address;
  return kernel.listEntries(head, 'net_device', 'dev_list').entries.map((object) => {
    const name = object.member('name').text();
    return {
      object,
      name: isMissing(name) ? `<${name.missing}>` : name,
      addresses: [...ipv4(kernel, object), ...ipv6(kernel, object)],
    };
  });
}

function ipv4(kernel: Kernel, device: KernelObject): string[] {
  const own = known(device.find('ip_ptr')?.deref());
  const addresses: string[] = [];
  let at = known(own?.find('ifa_list')?.integer());
  while (at && addresses.length < mostAddresses) {
    const entry = kernel.object('in_ifaddr', at);
    const value = known(entry.member('ifa_address').number());
    if (value !== undefined) addresses.push(ipv4Text(value));
    at = known(entry.member('ifa_next').integer());
  }
  return addresses;
}

function ipv6(kernel: Kernel, device: KernelObject): string[] {
  const pointer = known(device.find('ip6_ptr')?.integer());
  if (!pointer || kernel.type('inet6_dev') === undefined) return [];
  const head = kernel.object('inet6_dev', pointer).member('addr_list').address;
  return kernel.listEntries(head, 'inet6_ifaddr', 'if_list').entries.flatMap((entry) => {
    const bytes = entry.member('addr').bytes();
    return isMissing(bytes) ? [] : ipv6Text(bytes);
  });
}

/** In the order of the network, read as a little-endian number. */
export const ipv4Text = (value: number): string =>
  [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff).join('.');

export function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16),
  ).join(':');
  // The longest run of zeros is left out.
  const runs = [...groups.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (longest === undefined) return groups;
  const [before, after] = [groups.slice(0, longest.index), groups.slice(longest.index + longest[0].length)];
  return `${before}::${after.replace(/^:/, '')}`;
}

/** A socket that a task has open. */
export type OpenSocket = {
  readonly descriptor: number;
  readonly socket: KernelObject;
  readonly sock: KernelObject | undefined;
};

/** Sockets among the open files of a task. */
export function openSockets(kernel: Kernel, task: KernelTask): OpenSocket[] {
  const open = openFiles(kernel, task);
  if (open === undefined || isMissing(open)) return [];
  return open.flatMap(({ descriptor, file }) => {
    const inode = known(file.member('f_inode').deref());
    const data = known(file.member('private_data').integer());
    if (inodeType(inode) !== 'SOCK' || !data) return [];
    const socket = kernel.object('socket', data);
    return { descriptor, socket, sock: known(socket.member('sk').deref()) };
  });
}
