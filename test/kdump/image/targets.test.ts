import { describe, expect, it } from 'vitest';
import { parseModuleIndex } from '../../../src/formats/module-dep.ts';
import { type ImageSurroundings, settleTarget } from '../../../src/kdump/image/targets.ts';

const index = parseModuleIndex({
  dep: 'kernel/nfs.ko: kernel/sunrpc.ko\nkernel/sunrpc.ko:\nkernel/nfsv4.ko: kernel/nfs.ko\nkernel/virtiofs.ko:\n',
  builtin: 'kernel/ext4.ko\n',
  softdep: '',
  alias: 'alias fs-virtiofs virtiofs\n',
  builtinModinfo: '',
});
const own: ImageSurroundings = { builder: 'own', release: '6.1', index, drivers: ['virtio_blk'] };
const dracut: ImageSurroundings = { ...own, builder: 'dracut' };
const device = {
  kind: 'filesystem',
  device: '/dev/kdump-elsewhere',
  fstype: 'ext4',
  mountOptions: 'noauto',
} as const;

describe('settleTarget', () => {
  it('gives a file system its drivers, or has dracut mount it', () => {
    expect(settleTarget(device, own)).toEqual({
      target: { ...device, mountOptions: '' },
      modules: ['virtio_blk', 'ext4'],
      remote: null,
      dracut: [],
    });
    const mountPoint = '/kdumproot/dev-kdump-elsewhere';
    expect(settleTarget(device, dracut)).toEqual({
      target: { kind: 'mounted', mountPoint },
      modules: [],
      remote: null,
      dracut: ['--mount', `/dev/kdump-elsewhere ${mountPoint} ext4 rw`],
    });
  });

  it('names the machine that is to be reached, and every NFS that the kernel has', () => {
    const nfs = { kind: 'nfs', server: 'a', export: '/b', mountOptions: 'ro,vers=4.2' } as const;
    expect(settleTarget(nfs, own)).toMatchObject({
      target: { ...nfs, mountOptions: 'rw,vers=4.2' },
      modules: ['nfs', 'nfsv4'],
      remote: 'a',
    });
    const ssh = { kind: 'ssh', user: 'u', host: 'h' } as const;
    expect(settleTarget(ssh, own)).toMatchObject({ target: ssh, modules: [], remote: 'h' });
  });

  it('brings virtiofs and raw devices', () => {
    const virtiofs = { kind: 'virtiofs', tag: 'crash' } as const;
    expect(settleTarget(virtiofs, own)).toMatchObject({
      target: virtiofs,
      modules: ['virtiofs', 'fs-virtiofs'],
    });
    const raw = { kind: 'raw', device: '/dev/kdump-elsewhere' } as const;
    expect(settleTarget(raw, own)).toMatchObject({ target: raw, modules: ['virtio_blk'] });
    expect(settleTarget(raw, dracut).dracut).toEqual(['--add-device', '/dev/kdump-elsewhere']);
  });

  it('names dracut where our own builder cannot go', () => {
    expect(() => settleTarget(device, { ...own, drivers: null })).toThrow(
      expect.objectContaining({
        code: 'drivers-unknown',
        fix: expect.stringContaining('image_builder dracut'),
      }),
    );
  });
});
