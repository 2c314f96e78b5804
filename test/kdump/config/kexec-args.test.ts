import { describe, expect, test } from 'vitest';
import { loadWish } from '../../../src/kdump/config/kexec-args.ts';
import { errorOf } from '../../kexec/fixtures.ts';

describe('loadWish', () => {
  test('leaves the choice to the kernel when nothing is said', () => {
    expect(loadWish([], 'a b')).toMatchObject({
      request: { type: 'crash', append: 'a b', reuseCommandLine: false, debug: false },
      syscalls: { choice: 'auto', placingOptions: [], fileOptions: [] },
    });
  });

  test.each([
    [['-s'], 'kexec_file_load'],
    [['-p', '-c'], 'kexec_load'],
    [['-s', '-a'], 'auto'],
    [['--kexec-file-syscall'], 'kexec_file_load'],
  ])('%j: %s', (args, choice) => expect(loadWish(args, '').syscalls.choice).toBe(choice));

  test('passes on what only one of the calls knows', () => {
    const { request, syscalls } = loadWish(['--noefi', '-di', '--force-dtb', '--console-serial'], '');
    expect(request).toMatchObject({
      debug: true,
      forceDtb: true,
      placing: { efi: false, checks: false, console: { serial: true, vga: false } },
    });
    expect(syscalls).toMatchObject({
      placingOptions: ['--no-checks', '--noefi', '--console-serial'],
      fileOptions: ['--force-dtb'],
    });
  });

  test.each([
    [['--initrd=/x'], /^KEXEC_ARGS: unrecognized option '--initrd=\/x'|unrecognized option '--initrd'/],
    [['-l'], /invalid option -- 'l'/],
    [['/boot/vmlinuz'], /unexpected argument "\/boot\/vmlinuz"/],
  ])('refuses %j', (args, message) => {
    const error = errorOf(() => loadWish(args, ''));
    expect(error).toMatchObject({ code: 'usage', fix: expect.stringMatching(/^Known are -p, -a, -s/) });
    expect(error.message).toMatch(message);
  });
});
