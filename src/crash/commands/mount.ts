import { known } from '../../kernel/core.ts';
import { pathOf } from '../../kernel/file-path.ts';
import { mountsOf } from '../../kernel/mounts.ts';
import type { KernelObject } from '../../kernel/object.ts';
import { lastValue } from '../../lib/getopt.ts';
import { parseAddress, parseFlags, tasksNamed } from '../arguments.ts';
import type { Command } from '../command.ts';
import type { Session } from '../session.ts';
import { hex, shown } from '../text.ts';

type Mount = {
  readonly address: bigint;
  readonly superblock: bigint;
  readonly type: string;
  readonly device: string;
  readonly directory: string;
};

export const mount: Command = {
  name: 'mount',
  usage: '[-n pid|task] [mount|superblock|type|device|directory ...]',
  summary: 'what is mounted',
  help: '  -n PID   in the namespace of this process; of init unless told\nWords choose those of which a column is equal to one.',
  *run(session, args) {
    const parsed = parseFlags(args, 'n:');
    const word = lastValue(parsed, 'n');
    const task = word === undefined ? undefined : tasksNamed(session, word)[0];
    const first = task ?? session.kernel.tasks.find(({ pid }) => pid === 1) ?? session.task;
    const { mounts, damage } = mountsOf(session.kernel, first);
    const wanted = parsed.positionals;
    const all = mounts.map((each) => described(session, each));
    const chosen = all.filter((each) => wanted.length === 0 || wanted.some((what) => isCalled(each, what)));
    if (chosen.length > 0) {
      const widest = Math.max(...chosen.map(({ device }) => device.length), 7);
      yield `     ${'MOUNT'.padEnd(11)} ${'SUPERBLK'.padStart(12).padEnd(16)} TYPE   ${'DEVNAME'.padEnd(Math.min(widest, 9))} DIRNAME`;
    }
    for (const { address, superblock, type, device, directory } of chosen)
      yield `${hex(address)} ${hex(superblock)} ${`${type.padEnd(6)} ${device}`.padEnd(16)} ${directory}`;
    if (damage !== undefined)
      yield 'mount: the mounts are damaged or not all in the dump: what could be reached is above';
  },
};

function described({ kernel }: Session, mounted: KernelObject): Mount {
  const superblock = known(mounted.member('mnt.mnt_sb').deref());
  const type = known(superblock?.member('s_type').deref());
  const device = mounted.member('mnt_devname').text();
  const root = known(mounted.member('mnt.mnt_root').deref());
  return {
    address: mounted.address,
    superblock: superblock?.address ?? 0n,
    type: type === undefined ? '?' : shown(type.member('name').text()),
    device: shown(device),
    directory: (root && pathOf(kernel, root, mounted.member('mnt').address)) ?? '(unknown)',
  };
}

const isCalled = ({ address, superblock, type, device, directory }: Mount, word: string): boolean =>
  [type, device, directory].includes(word) || [address, superblock].includes(parseAddress(word) ?? -1n);
