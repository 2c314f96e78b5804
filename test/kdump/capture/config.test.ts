import { describe, expect, it } from 'vitest';
import { mountPointOf, parseCaptureConfig } from '../../../src/kdump/capture/config.ts';

const good = {
  target: { device: 'UUID=0123', fstype: 'ext4', mountOptions: '' },
  path: '/var/crash',
  host: 'vm',
  coreCollector: ['makedumpfile', '-l'],
  finalAction: 'reboot',
  deviceTimeout: 30,
};
const withChange = (change: object): string => JSON.stringify({ ...good, ...change });

describe('parseCaptureConfig', () => {
  it('gives back good settings', () => expect(parseCaptureConfig(JSON.stringify(good))).toEqual(good));

  it('takes a target that somebody else mounts', () => {
    const mounted = { ...good, target: { mountPoint: '/sysroot' } };
    expect(parseCaptureConfig(JSON.stringify(mounted))).toEqual(mounted);
    expect(mountPointOf(mounted.target)).toBe('/sysroot');
    expect(mountPointOf(good.target)).toBe('/run/target');
  });

  it.each([
    ['not JSON', '{', /not JSON/],
    ['no object', '7', /expected an object/],
    ['a missing target', withChange({ target: undefined }), /target is missing/],
    [
      'a device that is a word',
      withChange({ target: { ...good.target, device: 'sda' } }),
      /target\.device is "sda", expected \/dev/,
    ],
    ['a bad file system', withChange({ target: { ...good.target, fstype: 'a b' } }), /target\.fstype/],
    [
      'options that are no text',
      withChange({ target: { ...good.target, mountOptions: [] } }),
      /target\.mountOptions/,
    ],
    [
      'a relative mount point',
      withChange({ target: { mountPoint: 'sysroot' } }),
      /target\.mountPoint is "sysroot"/,
    ],
    ['a mount point with blanks', withChange({ target: { mountPoint: '/a b' } }), /target\.mountPoint/],
    ['a mount point that climbs', withChange({ target: { mountPoint: '/a/..' } }), /target\.mountPoint/],
    ['a relative path', withChange({ path: 'var/crash' }), /path is "var\/crash"/],
    ['a path that climbs', withChange({ path: '/var/../..' }), /path/],
    ['a host with a slash', withChange({ host: 'a/b' }), /host/],
    ['another collector', withChange({ coreCollector: ['scp'] }), /makedumpfile OPTION/],
    ['cp with options', withChange({ coreCollector: ['cp', '-a'] }), /coreCollector/],
    [
      'an unknown action',
      withChange({ finalAction: 'sleep' }),
      /finalAction is "sleep", expected reboot, poweroff, halt/,
    ],
    ['no time', withChange({ deviceTimeout: 0 }), /deviceTimeout/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseCaptureConfig(text, 'x.json')).toThrow(
      expect.objectContaining({ code: 'capture-config', message: expect.stringMatching(message) }),
    );
  });
});
