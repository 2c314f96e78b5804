import { describe, expect, test } from 'vitest';
import type { KernelChoice } from '../../../src/kdump/config/effective.ts';
import { findKernel, kernelCandidates } from '../../../src/kdump/service/kernel-file.ts';
import { errorOf } from '../../kexec/fixtures.ts';
import { withRoot } from '../config/fixtures.ts';

const choice = (given: Partial<KernelChoice> = {}): KernelChoice => ({
  path: null,
  release: null,
  bootDirectory: null,
  imageName: 'vmlinuz',
  imageExtension: '',
  ...given,
});
const running = { 'proc/sys/kernel/osrelease': '6.1.0-9-amd64\n' };
const found = (files: Record<string, string>, given: Partial<KernelChoice> = {}) =>
  withRoot({ ...running, ...files }, (root) => findKernel(choice(given), root));
const stub = 'sys/firmware/efi/efivars/StubImageIdentifier-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
const utf16 = (text: string) => `\x07\0\0\0${[...text, '\0'].map((char) => `${char}\0`).join('')}`;

describe('findKernel', () => {
  test.each([
    ['as Debian and Red Hat call it', { 'boot/vmlinuz-6.1.0-9-amd64': '' }, '/boot/vmlinuz-6.1.0-9-amd64'],
    [
      'where the boot loader has found it',
      {
        'proc/cmdline': 'BOOT_IMAGE=(hd0,gpt2)/ostree/x/vmlinuz-6.1.0-9-amd64 ro',
        'boot/ostree/x/vmlinuz-6.1.0-9-amd64': '',
        'boot/vmlinuz-6.1.0-9-amd64': '',
      },
      '/boot/ostree/x/vmlinuz-6.1.0-9-amd64',
    ],
    [
      'not one of another release that the boot loader names',
      { 'proc/cmdline': 'BOOT_IMAGE=/boot/vmlinuz', 'boot/vmlinuz': '', 'boot/vmlinuz-6.1.0-9-amd64': '' },
      '/boot/vmlinuz-6.1.0-9-amd64',
    ],
    [
      'below the name of the machine',
      { 'etc/machine-id': 'abc\n', 'efi/abc/6.1.0-9-amd64/vmlinuz': '' },
      '/efi/abc/6.1.0-9-amd64/vmlinuz',
    ],
    [
      'beside its modules',
      { 'usr/lib/modules/6.1.0-9-amd64/vmlinuz': '' },
      '/usr/lib/modules/6.1.0-9-amd64/vmlinuz',
    ],
    [
      'in a unified kernel image',
      { 'etc/machine-id': 'abc', 'boot/efi/EFI/Linux/abc-6.1.0-9-amd64.efi': '' },
      '/boot/efi/EFI/Linux/abc-6.1.0-9-amd64.efi',
    ],
    [
      'in the unified kernel image that was booted',
      { [stub]: utf16('\\EFI\\Linux\\mine.efi'), 'efi/EFI/Linux/mine.efi': '' },
      '/efi/EFI/Linux/mine.efi',
    ],
    [
      'rather by itself than in a unified one',
      {
        'etc/machine-id': 'abc',
        'boot/EFI/Linux/abc-6.1.0-9-amd64.efi': '',
        'usr/lib/modules/6.1.0-9-amd64/vmlinuz': '',
      },
      '/usr/lib/modules/6.1.0-9-amd64/vmlinuz',
    ],
  ])('finds it %s', (_, files, path) => {
    expect(found(files)).toEqual({ path, release: '6.1.0-9-amd64' });
  });

  test('prefers the plain twin of a debugging kernel', () => {
    const files = { 'proc/sys/kernel/osrelease': '6.9+debug', 'boot/vmlinuz-6.9+debug': '' };
    expect(found(files).release).toBe('6.9+debug');
    expect(found({ ...files, 'boot/vmlinuz-6.9': '' })).toEqual({
      path: '/boot/vmlinuz-6.9',
      release: '6.9',
    });
    const asked = { release: '6.9+debug' };
    expect(found({ ...files, 'boot/vmlinuz-6.9': '' }, asked).release).toBe('6.9+debug');
  });

  test('takes release, directory and name from the settings', () => {
    const given = { release: '5.14', bootDirectory: '/kernels', imageName: 'Image', imageExtension: '.gz' };
    expect(found({ 'kernels/Image-5.14.gz': '' }, given).path).toBe('/kernels/Image-5.14.gz');
  });

  test('takes a file, whose name tells the release', () => {
    expect(found({ 'k/vmlinuz-6.6.1-x': '' }, { path: '/k/vmlinuz-6.6.1-x' })).toEqual({
      path: '/k/vmlinuz-6.6.1-x',
      release: '6.6.1-x',
    });
    expect(found({ 'k/linux': '' }, { path: '/k/linux' }).release).toBe('6.1.0-9-amd64');
    expect(errorOf(() => found({}, { path: '/k/gone' })).message).toBe('/k/gone is not there');
  });

  test('names every place when there is none', () => {
    const error = errorOf(() => found({}));
    expect(error.code).toBe('no-kernel');
    expect(error.message).toBe(
      'no kernel of release 6.1.0-9-amd64 was found in /boot, /boot/efi, /efi, / or /usr/lib/modules/6.1.0-9-amd64',
    );
    expect(error.facts.places).toContain('/boot/vmlinuz-6.1.0-9-amd64 ');
    expect(error.facts.places).toContain('/usr/lib/modules/6.1.0-9-amd64/vmlinuz');
    expect(error.fix).toContain('KDUMP_KERNEL');
  });

  test('needs a release', () => {
    const facts = { running: null, commandLine: null, machineId: null, bootedUki: null };
    expect(errorOf(() => kernelCandidates(choice(), facts)).code).toBe('no-kernel');
  });
});
