import { known } from '../../kernel/core.ts';
import {
  characterDevice,
  disks,
  pciBuses,
  registered,
  requestsInFlight,
  wholeDisk,
} from '../../kernel/devices.ts';
import type { KernelObject } from '../../kernel/object.ts';
import { hasOption } from '../../lib/getopt.ts';
import { parseFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { nameOfAddress } from '../format/style.ts';
import type { Session } from '../session.ts';
import { centred, hex, shown } from '../text.ts';

export const dev: Command = {
  name: 'dev',
  usage: '[-d | -D | -p]',
  summary: 'character and block devices, disks, PCI devices',
  help: '  -d  disks with the requests that are under way; -D also those without sectors\n  -p  PCI devices',
  *run(session, args) {
    const parsed = parseFlags(args, 'dDp');
    if (hasOption(parsed, 'd') || hasOption(parsed, 'D')) yield* diskLines(session, hasOption(parsed, 'D'));
    else if (hasOption(parsed, 'p')) yield* pciLines(session);
    else yield* majors(session);
  },
};

function* majors({ kernel }: Session): Generator<string> {
  const line = (entry: KernelObject, object: bigint | undefined, operations: bigint | undefined): string => {
    const front = `${shown(entry.member('major').number()).padStart(4)}      ${shown(entry.member('name').text()).padEnd(13)}`;
    if (!object) return `${front}  ${centred('(none)', 16)}`;
    const name = operations ? nameOfAddress(kernel, operations) : undefined;
    return `${front}  ${hex(object)}  ${name ?? (operations ? hex(operations) : '(unknown)')}`;
  };
  yield 'CHRDEV    NAME                 CDEV        OPERATIONS      ';
  for (const entry of registered(kernel, 'chrdevs')) {
    const device = characterDevice(kernel, entry);
    yield line(entry, device?.address, known(device?.member('ops').integer()));
  }
  yield '';
  yield 'BLKDEV    NAME                GENDISK      OPERATIONS      ';
  const all = disks(kernel);
  for (const entry of registered(kernel, 'major_names')) {
    const major = entry.member('major').number();
    const disk = all.find((each) => each.member('major').number() === major);
    yield line(entry, disk?.address, known(disk?.member('fops').integer()));
  }
}

/** Without -D, loop devices and RAM disks that nothing is attached to are left out: those without sectors. */
function* diskLines({ kernel }: Session, every: boolean): Generator<string> {
  yield 'MAJOR GENDISK            NAME       REQUEST_QUEUE      TOTAL  READ WRITE ';
  for (const disk of disks(kernel)) {
    const part = wholeDisk(disk);
    const sectors = known(part?.find('bd_nr_sectors', 'nr_sects')?.integer());
    if (!every && sectors === 0n) continue;
    const [read, write] = requestsInFlight(kernel, disk);
    yield [
      shown(disk.member('major').number()).padStart(5),
      `${hex(disk.address)}  `,
      shown(disk.member('disk_name').text()).padEnd(10),
      shown(disk.member('queue').integer(), hex),
      String(read + write).padStart(7),
      String(read).padStart(5),
      String(write).padStart(5),
    ].join(' ');
  }
}

/** Bits 7..4 of the flags of a device's PCI Express capability. */
const portTypes: Readonly<Record<number, string>> = {
  0: 'ENDPOINT',
  1: 'LEG_END',
  4: 'ROOT_PORT',
  5: 'UPSTREAM',
  6: 'DOWNSTREAM',
  7: 'PCI_BRIDGE',
  8: 'PCIE_BRIDGE',
  9: 'RC_END',
  10: 'RC_EC',
};

function* pciLines({ kernel }: Session): Generator<string> {
  for (const bus of pciBuses(kernel)) {
    const isRoot = known(bus.member('parent').integer()) === 0n;
    if (isRoot) {
      yield '    ROOT BUS     BUSNAME';
      yield `${hex(bus.address)} ${shown(bus.member('dev.kobj.name').text())}`;
      yield '      PCI DEV      DO:BU:SL.FN  CLASS   PCI_ID      TYPE   ';
    }
    for (const device of kernel.listEntries(bus.member('devices').address, 'pci_dev', 'bus_list').entries) {
      const number = (member: string, digits: number): string =>
        shown(device.member(member).integer(), (value) => value.toString(16).padStart(digits, '0'));
      const name = known(device.find('dev.kobj.name')?.text()) ?? '?';
      const id = `${number('vendor', 4)}:${number('device', 4)}`;
      const flags = known(device.find('pcie_flags_reg')?.number()) ?? 0;
      const type = portTypes[(flags >> 4) & 15] ?? 'UNKNOWN';
      yield `  ${hex(device.address)} ${name}  ${number('class', 6).slice(0, 4)}  ${id}  ${type}`;
    }
    yield '';
  }
}
