import { known } from './core.ts';
import { globalNumber } from './counters.ts';
import type { Kernel } from './kernel.ts';
import { walkList } from './list.ts';
import type { KernelObject } from './object.ts';

/** Major numbers are kept in a table of this length, several of them in one place. */
const buckets = 255;
const mostInBucket = 4096;

/** What is registered for a major number: struct char_device_struct or struct blk_major_name. */
export function registered(kernel: Kernel, table: 'chrdevs' | 'major_names'): KernelObject[] {
  const type = table === 'chrdevs' ? 'char_device_struct' : 'blk_major_name';
  const start = kernel.symbol(table)?.address;
  if (start === undefined || kernel.core.type(type) === undefined) return [];
  return Array.from({ length: buckets }, (_, i) => start + BigInt(8 * i)).flatMap((bucket) => {
    const chain: KernelObject[] = [];
    let at = known(kernel.core.u64(bucket));
    while (at && chain.length < mostInBucket && !chain.some(({ address }) => address === at)) {
      const entry = kernel.object(type, at);
      chain.push(entry);
      at = known(entry.member('next').integer());
    }
    return chain;
  });
}

/** What serves a character device: struct cdev, of the entry itself, or found by its number as an open would. */
export function characterDevice(kernel: Kernel, entry: KernelObject): KernelObject | undefined {
  const own = known(entry.member('cdev').deref());
  const variable = kernel.symbol('cdev_map')?.address;
  const map = variable === undefined ? undefined : known(kernel.core.u64(variable));
  const probes = kernel.core.type('kobj_map')?.place('probes');
  const type = probes?.type.target?.bare.target;
  const major = known(entry.member('major').number());
  const minor = known(entry.member('baseminor').number());
  if (own !== undefined || !map || probes === undefined || type === undefined || major === undefined)
    return own;
  const number = BigInt(major) * minors + BigInt(minor ?? 0);
  let at = known(kernel.core.u64(map + BigInt(probes.offset + 8 * (major % buckets))));
  for (let step = 0; at && step < mostInBucket; step++) {
    const probe = kernel.object(type, at);
    const data = known(probe.member('data').integer());
    if (data && known(probe.member('dev').integer()) === number) return kernel.object('cdev', data);
    at = known(probe.member('next').integer());
  }
  return undefined;
}

const minors = 1n << 20n;

/** Disks, by the block devices that have an inode: struct gendisk, each once. */
export function disks(kernel: Kernel): KernelObject[] {
  const block = globalNumber(kernel, 'blockdev_superblock');
  const link = kernel.core.type('inode')?.place('i_sb_list');
  const container = kernel.core.type('bdev_inode');
  if (!block || link === undefined || container === undefined) return [];
  const found = new Map<bigint, KernelObject>();
  const inodes = walkList(
    kernel.core.memory,
    kernel.object('super_block', block).member('s_inodes').address,
  ).entries;
  for (const entry of inodes) {
    const device = kernel.containerOf(entry - BigInt(link.offset), 'bdev_inode', 'vfs_inode').member('bdev');
    const disk = known(device.member('bd_disk').integer());
    if (disk) found.set(disk, kernel.object('gendisk', disk));
  }
  return [...found.values()];
}

/** What stands for a disk as a whole: a block device since 5.11, before that a partition in the disk itself. */
export function wholeDisk(disk: KernelObject): KernelObject | undefined {
  const part = disk.member('part0');
  return part.type.bare.kind === 'pointer' ? known(part.deref()) : part;
}

/** Requests of a disk that are under way: [read, write]. */
export function requestsInFlight(kernel: Kernel, disk: KernelObject): readonly [number, number] {
  const part = wholeDisk(disk);
  const stats = known(part?.find('bd_stats', 'dkstats')?.integer());
  const place = kernel.core.type('disk_stats')?.place('in_flight');
  const sum: [number, number] = [0, 0];
  if (!stats || place === undefined) return sum;
  for (const cpu of kernel.core.cpus('possible')) {
    const own = kernel.core.perCpuAddress(stats, cpu);
    if (typeof own !== 'bigint') continue;
    for (const way of [0, 1] as const) {
      // A request may begin on one CPU and end on another: only the sum is a number of requests.
      const word = known(kernel.core.u64(own + BigInt(place.offset + 8 * way))) ?? 0n;
      sum[way] += Number(BigInt.asIntN(64, word));
    }
  }
  return [Math.max(0, sum[0]), Math.max(0, sum[1])];
}

/** PCI buses below each other, the root first. */
export function pciBuses(kernel: Kernel): KernelObject[] {
  const head = kernel.symbol('pci_root_buses')?.address;
  if (head === undefined || kernel.core.type('pci_bus') === undefined) return [];
  const below = (start: bigint, depth: number): KernelObject[] =>
    depth > 32
      ? []
      : kernel
          .listEntries(start, 'pci_bus', 'node')
          .entries.flatMap((bus) => [bus, ...below(bus.member('children').address, depth + 1)]);
  return below(head, 0);
}
