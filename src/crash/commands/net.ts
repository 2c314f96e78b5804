import { known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import { neighbours } from '../../kernel/neighbours.ts';
import { ipv4Text, ipv6Text, networkDevices, type OpenSocket, openSockets } from '../../kernel/network.ts';
import type { KernelObject } from '../../kernel/object.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { hasOption, lastValue } from '../../lib/getopt.ts';
import { parseFlags, tasksNamed, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { styleOf } from '../format/style.ts';
import type { ValueStyle } from '../format/value.ts';
import { taskHeader } from '../tasks.ts';
import { hex, shown } from '../text.ts';
import { valueLines } from './struct.ts';

export const net: Command = {
  name: 'net',
  usage: '[-n | -s | -S [-x|-d]] [pid|task ...] | -a | -N address',
  summary: 'network interfaces; the sockets of a process; the ARP table',
  help: [
    '  -n       interfaces of the network namespace of the process',
    '  -s       its open sockets',
    '  -S       the same with their struct socket and struct sock; -x, -d: in hexadecimal, decimal',
    '  -a       the ARP table of all namespaces',
    '  -N ADDR  an IPv4 address that is a number in memory, as text',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 'nsSaxdN:');
    const words = parsed.positionals;
    const number = lastValue(parsed, 'N');
    if (number !== undefined) {
      yield ipv4Text(networkNumber(number));
      return;
    }
    if (hasOption(parsed, 'a')) {
      yield* neighbourLines(session.kernel);
      return;
    }
    const tasks = words.length === 0 ? [session.task] : words.flatMap((word) => tasksNamed(session, word));
    if (hasOption(parsed, 's') || hasOption(parsed, 'S')) {
      const radix = hasOption(parsed, 'x') ? 16 : hasOption(parsed, 'd') ? 10 : session.settings.radix;
      const style = hasOption(parsed, 'S') ? styleOf(session, radix) : undefined;
      for (const task of tasks) {
        yield* socketLines(session.kernel, task, style);
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

/** A number: decimal, or hexadecimal with or without 0x. */
function networkNumber(text: string): number {
  const value = Number(/^\d+$/.test(text) ? text : `0x${text.replace(/^0x/i, '')}`);
  if (!(value <= 0xffff_ffff)) throw usageError(`net: ${text} is no IPv4 address as a number`);
  return value;
}

const socketHeader = 'FD      SOCKET            SOCK       FAMILY:TYPE SOURCE-PORT DESTINATION-PORT';

/** @param style with which each socket's structures are shown, when they are */
function* socketLines(kernel: Kernel, task: KernelTask, style: ValueStyle | undefined): Generator<string> {
  yield taskHeader(task);
  const sockets = openSockets(kernel, task);
  if (sockets.length === 0) yield 'No open sockets.';
  else if (style === undefined) yield socketHeader;
  for (const each of sockets) {
    if (style !== undefined) yield socketHeader;
    yield socketLine(each);
    if (style === undefined) continue;
    yield '';
    const { socket, sock } = each;
    yield* valueLines(style, { type: socket.type, members: [] }, socket.address);
    if (sock !== undefined) yield* valueLines(style, { type: sock.type, members: [] }, sock.address);
    yield '';
  }
}

/** Kinds of hardware (include/uapi/linux/if_arp.h), and states of neighbours by their bits. */
const hardwareTypes: Readonly<Record<number, string>> = { 1: 'ETHER', 772: 'LOOPBACK' };
const neighbourStates = [
  [0x01, 'INCOMPLETE'],
  [0x02, 'REACHABLE'],
  [0x04, 'STALE'],
  [0x08, 'DELAY'],
  [0x10, 'PROBE'],
  [0x20, 'FAILED'],
  [0x40, 'NOARP'],
  [0x80, 'PERMANENT'],
] as const;

function* neighbourLines(kernel: Kernel): Generator<string> {
  const { entries, damaged } = neighbours(kernel);
  if (entries.length > 0)
    yield `${'NEIGHBOUR'.padEnd(16)}  ${'IP ADDRESS'.padEnd(15)}  HW TYPE   ${'HW ADDRESS'.padEnd(17)}  DEVICE  STATE`;
  for (const { object, address, device, hardware, state } of entries) {
    const type = known(device?.member('type').number());
    const kind = type === undefined ? '?' : (hardwareTypes[type] ?? String(type));
    const text = Buffer.from(hardware)
      .toString('hex')
      .replace(/..(?=.)/g, '$&:');
    const name = device === undefined ? '?' : shown(device.member('name').text());
    const states = neighbourStates.filter(([bit]) => (state & bit) !== 0).map(([, each]) => each);
    yield `${hex(object.address)}  ${(address ?? '?').padEnd(15)}  ${kind.padEnd(8)}  ${text.padEnd(17)}  ${name.padEnd(6)}  ${states.join('|') || 'NONE'}`;
  }
  if (damaged) yield 'net: some of the ARP table cannot be reached in the dump';
  else if (entries.length === 0) yield 'net: the ARP table is empty';
}

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
