import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isKnownModule, type ModuleIndex } from '../../formats/module-dep.ts';
import { KdumpError } from '../../lib/errors.ts';

/** A driver that is bound to a device of this machine. */
export type BoundDriver = {
  /** As its bus calls it; not always the name of its module. */
  readonly driver: string;
  /** Its module; null when it is part of the running kernel. */
  readonly module: string | null;
  /** By which any kernel finds its own driver for the device; null when the bus has none. */
  readonly modalias: string | null;
};

/**
 * The drivers that stand between a block device and the machine, from sysfs: that of the outermost bus first, that of
 * the device itself last.
 * @param device path as `/dev/sda1`
 * @param root directory that stands in for /, with sys in it
 * @throws KdumpError `drivers-unknown` when sysfs does not show a way to the device, or the way is one that the capture
 * image cannot set up.
 */
export function driversOfBlockDevice(device: string, root = '/'): BoundDriver[] {
  const name = basename(realName(device, root));
  const link = join(root, 'sys/class/block', name);
  if (!existsSync(link)) throw unknown(device, `${link} does not exist`);
  const place = realpathSync(link);
  const layers = childNames(join(place, 'slaves'));
  if (layers.length > 0)
    throw unknown(
      device,
      `it is built from ${layers.join(', ')}, and the capture image does not set up LVM, LUKS or RAID`,
      'Name a target that is a plain partition with --target.',
    );

  const drivers = driversAbove(place, root);
  if (drivers.length === 0) throw unknown(device, `no device above ${place} has a driver`);
  return drivers;
}

/**
 * The same for a network interface; empty for one that is no card: a VLAN, a bond, a bridge.
 * @param root directory that stands in for /, with sys in it
 */
export function driversOfInterface(name: string, root = '/'): BoundDriver[] {
  const device = join(root, 'sys/class/net', name, 'device');
  return existsSync(device) ? driversAbove(realpathSync(device), root) : [];
}

/**
 * The same for the devices of one virtio driver, such as virtiofs; the driver itself when there is none of them.
 * @param root directory that stands in for /, with sys in it
 */
export function driversOfVirtio(driver: string, root = '/'): BoundDriver[] {
  const directory = join(root, 'sys/bus/virtio/drivers', driver);
  const devices = existsSync(directory)
    ? readdirSync(directory).filter((name) => /^virtio\d/.test(name))
    : [];
  const found = devices.flatMap((name) => driversAbove(realpathSync(join(directory, name)), root));
  return found.length > 0 ? found : [{ driver, module: driver, modalias: null }];
}

/**
 * The same for each hardware watchdog that is running.
 * @param index of some kernel, by which a driver is known for one of a watchdog
 * @param root directory that stands in for /, with sys in it
 */
export function driversOfWatchdogs(index: ModuleIndex, root = '/'): BoundDriver[][] {
  const directory = join(root, 'sys/class/watchdog');
  const names = existsSync(directory) ? readdirSync(directory).sort() : [];
  return names
    .map((name) => join(directory, name))
    .filter((path) => readLine(join(path, 'state')) === 'active')
    .map((path) => join(path, 'device'))
    .map((device) =>
      existsSync(device) ? driversAbove(realpathSync(device), root) : loadedWatchdogs(index, root),
    );
}

/** Not every driver says which device its watchdog is (i6300esb). The timer of softdog has died with its kernel. */
function loadedWatchdogs({ modules }: ModuleIndex, root: string): BoundDriver[] {
  return childNames(join(root, 'sys/module'))
    .filter((name) => name !== 'softdog' && modules.get(name)?.path.includes('/drivers/watchdog/'))
    .filter((name) => existsSync(join(root, 'sys/module', name, 'initstate')))
    .map((name) => ({ driver: name, module: name, modalias: null }));
}

/** Drivers of a device and of those above it: a controller's driver finds nothing before its bus is there. */
function driversAbove(place: string, root: string): BoundDriver[] {
  const top = realpathSync(join(root, 'sys/devices'));
  const drivers: BoundDriver[] = [];
  for (let at = place; at.startsWith(`${top}/`); at = dirname(at)) {
    const driver = join(at, 'driver');
    if (!existsSync(driver)) continue;
    const module = join(driver, 'module');
    drivers.push({
      driver: basename(realpathSync(driver)),
      module: existsSync(module) ? basename(realpathSync(module)) : null,
      modalias: readLine(join(at, 'modalias')),
    });
  }
  return drivers.reverse();
}

/**
 * The modules that another kernel, or the same one, has for these drivers. What is built into the running kernel may be
 * a module in the other: the device's modalias tells. Buses on the way that the other kernel knows nothing of are
 * passed over (a PCI bridge's driver has no name in any index), the driver of the device itself is not.
 * @throws KdumpError `drivers-unknown`
 */
export function modulesForDrivers(
  device: string,
  drivers: readonly BoundDriver[],
  index: ModuleIndex,
  sameKernel: boolean,
): string[] {
  const names = drivers.flatMap(({ driver, module, modalias }, at) => {
    if (module !== null) return [module];
    if (sameKernel) return [];
    const known = [modalias, driver].find((name) => name !== null && isKnownModule(index, name));
    if (known === undefined && at === drivers.length - 1)
      throw unknown(
        device,
        `the other kernel has no module for "${driver}", which is built into the running one`,
      );
    return known === undefined || known === null ? [] : [known];
  });
  return [...new Set(names)];
}

function readLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch {
    return null;
  }
}

/** /dev/disk/by-…, /dev/mapper/… and the like are links to the kernel's own name. */
function realName(device: string, root: string): string {
  try {
    return realpathSync(join(root, device));
  } catch {
    return device;
  }
}

function childNames(directory: string): string[] {
  try {
    return readdirSync(directory).map((name) => readLine(join(directory, name, 'dm/name')) ?? name);
  } catch {
    return [];
  }
}

function unknown(device: string, why: string, fix?: string): KdumpError {
  return new KdumpError('drivers-unknown', `the drivers of ${device} cannot be derived: ${why}`, {
    fix: fix ?? 'Name them with --add-drivers, for example --add-drivers "virtio_pci virtio_blk".',
    facts: { device },
  });
}
