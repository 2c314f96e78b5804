import { known } from '../../kernel/core.ts';
import { isMissing } from '../../kernel/memory.ts';
import { ipv4Text, ipv6Text, networkDevices, type OpenSocket, openSockets } from '../../kernel/network.ts';
import type { KernelObject } from '../../kernel/object.ts';
import { hasOption } from '../../lib/getopt.ts';
import { parseFlags, tasksNamed } from '../arguments.ts';
import type { Command } from '../command.ts';
import { taskHeader } from '../tasks.ts';
import { hex } from '../text.ts';

export const net: Command = {
  name: 'net',
  usage: '[-n | -s] [pid|task ...]',
  summary: 'network interfaces; the sockets of a process',
  help: '  -n  interfaces of the network namespace of the process\n  -s  its open sockets',
  *run(session, args) {
    const parsed = parseFlags(args, 'ns');
    const words = parsed.positionals;
    const tasks = words.length === 0 ? [session.task] : words.flatMap((word) => tasksNamed(session, word));
    if (hasOption(parsed, 's')) {
      for (const task of tasks) {
        yield taskHeader(task);
        const sockets = openSockets(session.kernel, task);
        if (sockets.length === 0) yield 'No open sockets.';
        else yield 'FD      SOCKET            SOCK       FAMILY:TYPE SOURCE-PORT DESTINATION-PORT';
        for (const socket of sockets) yield socketLine(socket);
        if (words.length > 0) yield '';
      }
      return;
    }
    yield '   NET_DEVICE     NAME       IP ADDRESS(ES)';
    for (const { object, name, addresses } of networkDevices(
      session.kernel,
      hasOption(parsed, 'n') ? tasks[0] : undefined,
    ))
      yield `${hex(object.address)}  ${name.padEnd(10)} ${addresses.join(', ')}`;
  },
};

const families: Readonly<Record<number, string>> = {
  1: 'UNIX',
  2: 'INET',
  10: 'INET6',
  15: 'KEY',
  16: 'NETLINK',
  17: 'PACKET',
};
const types: Readonly<Record<number, string>> = {
  1: 'STREAM',
  2: 'DGRAM',
  3: 'RAW',
  4: 'RDM',
  5: 'SEQPACKET',
  10: 'PACKET',
};

function socketLine({ descriptor, socket, sock }: OpenSocket): string {
  const family = known(sock?.member('__sk_common.skc_family').number()) ?? 0;
  const type = known(socket.member('type').number()) ?? 0;
  const ends = sock !== undefined && (family === 2 || family === 10) ? ` ${endsOf(sock, family)}` : '';
  const kind = `${families[family] ?? family}:${types[type] ?? type}`;
  return `${String(descriptor).padStart(2)}  ${hex(socket.address)}  ${hex(sock?.address ?? 0n)}  ${kind}${ends}`;
}

function endsOf(sock: KernelObject, family: number): string {
  const common = sock.member('__sk_common');
  // The own port is in the order of the machine, that of the other end in the order of the network.
  const own = known(common.member('skc_num').number()) ?? 0;
  const other = known(common.member('skc_dport').number()) ?? 0;
  const address = (v4: string, v6: string): string => {
    if (family === 2) return ipv4Text(known(common.member(v4).number()) ?? 0);
    const bytes = common.find(v6)?.bytes();
    return bytes === undefined || isMissing(bytes) ? '?' : ipv6Text(bytes);
  };
  const from = address('skc_rcv_saddr', 'skc_v6_rcv_saddr');
  const to = address('skc_daddr', 'skc_v6_daddr');
  return `${from}-${own} ${to}-${((other & 0xff) << 8) | (other >> 8)}`;
}
