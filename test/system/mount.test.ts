import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mount, parseMountOptions, readMounts, unmount } from '../../src/system/mount.ts';

describe('parseMountOptions', () => {
  it.each([
    ['', 0, ''],
    ['defaults', 0, ''],
    ['ro,noatime', 1 | 1024, ''],
    ['ro,rw', 0, ''],
    ['data=ordered,nosuid,commit=5', 2, 'data=ordered,commit=5'],
    ['noauto,nofail,x-systemd.automount,_netdev', 0, ''],
  ])('%j', (options, flags, data) => expect(parseMountOptions(options)).toEqual({ flags, data }));
});

describe('readMounts', () => {
  it('reads mountinfo with optional fields and escaped blanks', () => {
    const root = mkdtempSync(join(tmpdir(), 'kdump-test-'));
    mkdirSync(join(root, 'proc/self'), { recursive: true });
    writeFileSync(
      join(root, 'proc/self/mountinfo'),
      '36 35 98:0 /sub /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw\n22 1 8:1 / / rw - ext4 /dev/sda1 rw\n',
    );
    expect(readMounts(root)).toEqual([
      { device: '98:0', root: '/sub', target: '/mnt 2', fstype: 'ext3', source: '/dev/root' },
      { device: '8:1', root: '/', target: '/', fstype: 'ext4', source: '/dev/sda1' },
    ]);
    rmSync(root, { recursive: true });
    expect(readMounts(root)).toEqual([]);
  });

  it('sees the /proc of this machine, whatever its root is (a chroot shows none)', () => {
    expect(readMounts()).toContainEqual(expect.objectContaining({ target: '/proc', fstype: 'proc' }));
  });
});

describe('mount(2)', () => {
  it('explains a refusal by name', () => {
    const target = mkdtempSync(join(tmpdir(), 'kdump-test-'));
    // Not there, and whoever may not mount at all is told so first.
    expect(() => mount('/dev/kdump-no-such-device', target, 'ext4', 'ro')).toThrow(
      expect.objectContaining({
        code: 'mount',
        message: expect.stringMatching(/cannot be mounted as ext4 \((ENOENT|EPERM|EACCES)\): ./),
      }),
    );
    expect(() => unmount(target)).toThrow(/cannot be unmounted \((EINVAL|EPERM)\)/);
    rmSync(target, { recursive: true });
  });
});
