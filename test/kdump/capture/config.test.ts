import { describe, expect, it } from 'vitest';
import {
  type CaptureConfig,
  captureConfig,
  mountPointOf,
  parseCaptureConfig,
  targetName,
} from '../../../src/kdump/capture/config.ts';

const device = { kind: 'filesystem', device: 'UUID=0123', fstype: 'ext4', mountOptions: '' } as const;
const mounted = { kind: 'mounted', mountPoint: '/sysroot' } as const;
const nfs = { kind: 'nfs', server: 'store', export: '/srv/crash', mountOptions: '' } as const;
const ssh = { kind: 'ssh', user: 'kdump', host: 'store.example' } as const;
const raw = { kind: 'raw', device: '/dev/vdb' } as const;
const virtiofs = { kind: 'virtiofs', tag: 'crash' } as const;
const keys = { key: '/root/.ssh/id', knownHosts: '/root/.ssh/known_hosts' };

const good = captureConfig({ targets: [device], host: 'vm' });
const withChange = (change: object): string => JSON.stringify({ ...good, ...change });
const withTarget = (change: object): string => withChange({ targets: [{ ...device, ...change }] });

describe('parseCaptureConfig', () => {
  it('gives back good settings', () => expect(parseCaptureConfig(JSON.stringify(good))).toEqual(good));

  it('takes targets of every kind', () => {
    const all: CaptureConfig = {
      ...good,
      targets: [device, mounted, nfs, ssh, raw, virtiofs, { ...device, path: '/crash' }],
      rootfs: mounted,
      ssh: keys,
    };
    expect(parseCaptureConfig(JSON.stringify(all))).toEqual(all);
    expect(all.targets.map(targetName)).toEqual([
      ...[
        'UUID=0123',
        '/sysroot',
        'store:/srv/crash',
        'kdump@store.example',
        '/dev/vdb',
        'crash',
        'UUID=0123',
      ],
    ]);
    expect(mountPointOf(mounted)).toBe('/sysroot');
    expect(mountPointOf(device)).toBe('/run/target');
  });

  it.each([
    ['not JSON', '{', /not JSON/],
    ['no object', '7', /expected an object/],
    ['no target', withChange({ targets: [] }), /targets is \[\], expected a list/],
    ['a missing target', withChange({ targets: [null] }), /targets\[0\] is null/],
    [
      'a kind that nobody knows',
      withTarget({ kind: 'ftp' }),
      /targets\[0\]\.kind is "ftp", expected filesystem/,
    ],
    [
      'a device that is a word',
      withTarget({ device: 'sda' }),
      /targets\[0\]\.device is "sda", expected \/dev/,
    ],
    ['a bad file system', withTarget({ fstype: 'a b' }), /targets\[0\]\.fstype/],
    ['options that are no text', withTarget({ mountOptions: [] }), /targets\[0\]\.mountOptions/],
    ['a target with a path that climbs', withTarget({ path: '/a/../..' }), /targets\[0\]\.path/],
    ['a bad root file system', withChange({ rootfs: { ...device, device: '' } }), /rootfs\.device/],
    [
      'a relative mount point',
      withChange({ targets: [{ ...mounted, mountPoint: 'sysroot' }] }),
      /mountPoint is "sysroot"/,
    ],
    [
      'a mount point with blanks',
      withChange({ targets: [{ ...mounted, mountPoint: '/a b' }] }),
      /mountPoint/,
    ],
    [
      'a mount point that climbs',
      withChange({ targets: [{ ...mounted, mountPoint: '/a/..' }] }),
      /mountPoint/,
    ],
    ['an NFS server with blanks', withChange({ targets: [{ ...nfs, server: 'a b' }] }), /server/],
    ['an account that is an option', withChange({ targets: [{ ...ssh, user: '-oX' }], ssh: keys }), /user/],
    [
      'a host that is an option',
      withChange({ targets: [{ ...ssh, host: '-oX' }], ssh: keys }),
      /targets\[0\]\.host/,
    ],
    ['ssh without a key', withChange({ targets: [ssh] }), /: ssh is null/],
    [
      'a path that a remote shell would read',
      withChange({ targets: [ssh], ssh: keys, path: '/a$(b)' }),
      /plain characters/,
    ],
    [
      'a name that a remote shell would read',
      withChange({ targets: [ssh], ssh: keys, host: 'a;b' }),
      /plain characters/,
    ],
    ['a tag that is an option', withChange({ targets: [{ ...virtiofs, tag: '-o' }] }), /tag/],
    ['a relative path', withChange({ path: 'var/crash' }), /path is "var\/crash"/],
    ['a path that climbs', withChange({ path: '/var/../..' }), /path/],
    ['a host with a slash', withChange({ host: 'a/b' }), /host/],
    ['another collector', withChange({ coreCollector: ['cat'] }), /makedumpfile OPTION/],
    ['cp with options', withChange({ coreCollector: ['cp', '-a'] }), /coreCollector/],
    ['cp to a raw device', withChange({ targets: [raw], coreCollector: ['cp'] }), /where a target is raw/],
    ['scp without ssh', withChange({ coreCollector: ['scp'] }), /"cp" where no target is ssh/],
    [
      'an unknown action',
      withChange({ finalAction: 'sleep' }),
      /finalAction is "sleep", expected reboot, poweroff, halt/,
    ],
    ['an unknown failure action', withChange({ failureAction: 'sleep' }), /failureAction/],
    ['a hook that is a command line', withChange({ hooks: { ...good.hooks, pre: ['a b'] } }), /hooks\.pre/],
    [
      'a fence without a program',
      withChange({ fence: { args: [], nodes: [] } }),
      /fence\.program is missing/,
    ],
    ['no time', withChange({ deviceTimeout: 0 }), /deviceTimeout/],
    ['a report by half', withChange({ report: 'yes' as never }), /report/],
    ['no deadline that counts', withChange({ captureSeconds: -1 }), /captureSeconds/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseCaptureConfig(text, 'x.json')).toThrow(
      expect.objectContaining({ code: 'capture-config', message: expect.stringMatching(message) }),
    );
  });
});
