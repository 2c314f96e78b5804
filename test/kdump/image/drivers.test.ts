import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseModuleIndex } from '../../../src/formats/module-dep.ts';
import {
  driversOfBlockDevice,
  driversOfInterface,
  driversOfVirtio,
  driversOfWatchdogs,
  modulesForDrivers,
} from '../../../src/kdump/image/drivers.ts';
import { temporary, write, writeSys } from './fixture.ts';

const { root, remove } = temporary();
beforeAll(() => {
  writeSys(root);
  for (const name of ['vda1', 'dm-0', 'odd', 'none']) write(join(root, 'dev', name), '');
  mkdirSync(join(root, 'dev/disk/by-uuid'), { recursive: true });
  symlinkSync('../../vda1', join(root, 'dev/disk/by-uuid/0123'));
});
afterAll(remove);

const vda = [
  { driver: 'virtio-pci', module: 'virtio_pci', modalias: null },
  { driver: 'virtio_blk', module: 'virtio_blk', modalias: 'virtio:d00000002v00001AF4' },
];

describe('driversOfBlockDevice', () => {
  it('names the drivers from the bus to the device', () => {
    expect(driversOfBlockDevice('/dev/vda1', root)).toEqual(vda);
    expect(driversOfBlockDevice('/dev/odd', root)).toEqual([
      { driver: 'builtin', module: null, modalias: null },
    ]);
  });

  it('follows links to the name of the kernel', () => {
    expect(driversOfBlockDevice('/dev/disk/by-uuid/0123', root)).toEqual(vda);
  });

  it.each([
    ['/dev/sdz', /sys\/class\/block\/sdz does not exist/, /--add-drivers/],
    ['/dev/dm-0', /built from vda1/, /plain partition/],
    ['/dev/none', /no device above .* has a driver/, /--add-drivers/],
  ])('refuses %s with what to do', (device, message, fix) => {
    expect(() => driversOfBlockDevice(device, root)).toThrow(
      expect.objectContaining({
        code: 'drivers-unknown',
        message: expect.stringMatching(message),
        fix: expect.stringMatching(fix),
      }),
    );
  });
});

describe('other devices', () => {
  const virtio0 = '../../../../sys/devices/pci0000:00/0000:00:04.0/virtio0';

  it('finds the drivers below a network card, and none below what is made of others', () => {
    mkdirSync(join(root, 'sys/class/net/eth0'), { recursive: true });
    mkdirSync(join(root, 'sys/class/net/bond0'));
    symlinkSync(virtio0, join(root, 'sys/class/net/eth0/device'));
    symlinkSync(
      '../../../../devices/pci0000:00/0000:00:04.0/virtio0',
      join(root, 'sys/bus/virtio/drivers/virtio_blk/virtio0'),
    );
    expect(driversOfInterface('eth0', root)).toEqual(vda);
    expect(driversOfInterface('bond0', root)).toEqual([]);
    expect(driversOfVirtio('virtio_blk', root)).toEqual(vda);
    expect(driversOfVirtio('virtiofs', root)).toEqual([
      { driver: 'virtiofs', module: 'virtiofs', modalias: null },
    ]);
  });

  it('finds those of watchdogs that are running', () => {
    for (const [name, state] of [
      ['watchdog0', 'active'],
      ['watchdog1', 'inactive'],
    ] as const) {
      write(join(root, 'sys/class/watchdog', name, 'state'), `${state}\n`);
      symlinkSync(virtio0, join(root, 'sys/class/watchdog', name, 'device'));
    }
    const names = ['esb', 'softdog', 'built_in', 'other'];
    const dep = names.map((name) => `kernel/drivers/watchdog/${name}.ko:\n`).join('');
    const index = parseModuleIndex({ dep, builtin: '', softdep: '', alias: '', builtinModinfo: '' });
    expect(driversOfWatchdogs(index, root)).toEqual([vda]);
    // One that does not say which device it is: of the modules that are loaded the drivers of watchdogs.
    write(join(root, 'sys/class/watchdog/watchdog2/state'), 'active\n');
    for (const name of ['esb', 'softdog', 'virtio_blk'])
      write(join(root, 'sys/module', name, 'initstate'), 'live\n');
    mkdirSync(join(root, 'sys/module/built_in'), { recursive: true });
    expect(driversOfWatchdogs(index, root)).toEqual([
      vda,
      [{ driver: 'esb', module: 'esb', modalias: null }],
    ]);
  });
});

describe('modulesForDrivers', () => {
  const index = parseModuleIndex({
    dep: 'kernel/virtio_blk.ko:\nkernel/virtio_pci.ko:\n',
    builtin: '',
    softdep: '',
    alias: 'alias virtio:d00000002v* virtio_blk\n',
    builtinModinfo: '',
  });
  const builtin = vda.map((driver) => ({ ...driver, module: null }));
  const bridge = { driver: 'pcieport', module: null, modalias: 'pci:bridge' };

  it('takes the modules of the running kernel, and none for what is built into it', () => {
    expect(modulesForDrivers('/dev/vda', vda, index, false)).toEqual(['virtio_pci', 'virtio_blk']);
    expect(modulesForDrivers('/dev/vda', builtin, index, true)).toEqual([]);
  });

  it('finds what is built in here among the modules of another kernel, by modalias or by name', () => {
    expect(modulesForDrivers('/dev/vda', [bridge, ...builtin], index, false)).toEqual([
      'virtio-pci',
      'virtio:d00000002v00001AF4',
    ]);
  });

  it('does not build an image that cannot reach its target', () => {
    expect(() => modulesForDrivers('/dev/odd', [bridge], index, false)).toThrow(
      expect.objectContaining({ code: 'drivers-unknown', message: expect.stringContaining('"pcieport"') }),
    );
  });
});
