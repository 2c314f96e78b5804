import { closeSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { layout, readStruct, writeStruct } from '../lib/layout.ts';
import { lastErrno, libc } from './ffi.ts';
import type { CallResult } from './kexec.ts';
import { readInteger, readText } from './proc.ts';

/** Of linux/sockios.h, linux/if.h and bits/socket.h; the same on every architecture that node runs on. */
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 0x1;
const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
/** Longest name, without the NUL. */
const longestName = 15;

/** struct ifreq of linux/if.h on a 64-bit machine, with the member that holds flags. */
const ifreq = layout('ifreq', 40, { ifr_flags: [16, 'u16'] });

/**
 * Names of the network interfaces that are up, but for the loopback, in the order in which the kernel made them: what
 * stands on another one (a VLAN, a bond) comes behind it.
 */
export function listInterfacesUp(root = '/'): string[] {
  const directory = join(root, 'sys/class/net');
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  const index = (name: string) => readInteger(root, `sys/class/net/${name}/ifindex`) ?? 0;
  const isUp = (name: string) =>
    (Number(readText(root, `sys/class/net/${name}/flags`)?.trim() ?? 0) & IFF_UP) !== 0;
  return names.filter((name) => name !== 'lo' && isUp(name)).sort((a, b) => index(a) - index(b));
}

/** Sets an interface up or takes it down, and leaves its other flags as they are. Needs CAP_NET_ADMIN. */
export function setInterfaceUp(name: string, up: boolean): CallResult {
  return withSocket((fd) => {
    const request = requestFor(name);
    const ioctl = libc('int ioctl(int fd, unsigned long request, uint8_t *argument)');
    if (ioctl(fd, SIOCGIFFLAGS, request) !== 0) return { ok: false, errno: lastErrno() };
    const { ifr_flags } = readStruct(ifreq, request, 0, name);
    writeStruct(ifreq, request, 0, { ifr_flags: up ? ifr_flags | IFF_UP : ifr_flags & ~IFF_UP });
    return ioctl(fd, SIOCSIFFLAGS, request) === 0 ? { ok: true } : { ok: false, errno: lastErrno() };
  });
}

function requestFor(name: string): Uint8Array {
  const request = new Uint8Array(ifreq.size);
  request.set(Buffer.from(name).subarray(0, longestName));
  return request;
}

/** A socket of any family takes these requests; netlink's is there without IPv4, too. */
function withSocket(use: (fd: number) => CallResult): CallResult {
  const socket = libc('int socket(int domain, int type, int protocol)');
  let fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) as number;
  if (fd < 0) fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) as number;
  if (fd < 0) return { ok: false, errno: lastErrno() };
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}
