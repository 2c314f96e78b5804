import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { explainErrno } from '../../src/kexec/explain.ts';
import type { MachineFacts } from '../../src/kexec/machine.ts';
import { planUnload } from '../../src/kexec/plan.ts';
import { kernelFile, machineOf, planWith } from './fixtures.ts';

const machine = machineOf('vm-512m');
const withPermission = (permission: Partial<MachineFacts['permission']>): MachineFacts => ({
  ...machine,
  permission: { ...machine.permission, ...permission },
});
const { EPERM, EACCES, EBUSY, ENOSYS, EINVAL, ENOEXEC, ENOMEM, EADDRNOTAVAIL, ETXTBSY, EXDEV } =
  constants.errno;
const EKEYREJECTED = 129;

describe('EPERM is decided by facts', () => {
  test.each([
    [{ capSysBoot: false }, /CAP_SYS_BOOT/],
    [{ loadDisabled: true }, /kexec_load_disabled is 1/],
    [{ limits: { crash: 0, normal: -1 } }, /kexec_load_limit_panic is 0/],
    [{ lockdown: 'integrity' }, /locked down \(integrity.*carries no signature/],
    [{ lockdown: 'none' }, /though it seems to have CAP_SYS_BOOT/],
    [{ lockdown: null, capSysBoot: null }, /though it seems to have CAP_SYS_BOOT/],
    [{ capSysBoot: false, lockdown: 'integrity' }, /CAP_SYS_BOOT/],
  ])('%o', (permission, message) => {
    const error = explainErrno(EPERM, 'kexec_file_load', planWith(), withPermission(permission));
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^kexec_file_load failed: EPERM: /);
    expect(error.fix).toBeTruthy();
    expect(error.facts).toMatchObject({ errno: 'EPERM', type: 'crash' });
    expect(error.exitCode).toBe(255);
  });
  test('a signature that was not accepted', () => {
    const plan = planWith({}, { kernel: kernelFile({}, { signed: true }) });
    const error = explainErrno(
      EPERM,
      'kexec_file_load',
      plan,
      withPermission({ lockdown: 'confidentiality' }),
    );
    expect(error.message).toMatch(/signature of \/boot\/vmlinuz\S+ was not accepted/);
  });
});

test.each([
  [EACCES, 'EACCES', /IMA/, 255],
  [EBUSY, 'EBUSY', /another kexec load/, 255],
  [ENOSYS, 'ENOSYS', /syscall kexec_file_load not available/, 253],
  [EINVAL, 'EINVAL', /invalid/, 253],
  [ENOEXEC, 'ENOEXEC', /loaders/, 253],
  [constants.errno.EOPNOTSUPP, 'EOPNOTSUPP', /cannot load such an image/, 253],
  [ENOMEM, 'ENOMEM', /too little free memory/, 255],
  [EADDRNOTAVAIL, 'EADDRNOTAVAIL', /does not fit the reserved memory: .*201326592 are reserved/, 255],
  [ETXTBSY, 'ETXTBSY', /open for writing/, 255],
  [EKEYREJECTED, 'EKEYREJECTED', /signature/, 255],
  [126, 'ENOKEY', /signature/, 255],
  [80, 'ELIBBAD', /signature/, 255],
  [65, 'ENOPKG', /signature/, 255],
  [EXDEV, 'EXDEV', /cross-device/, 255],
])('errno %d is %s', (errno, name, message, exitCode) => {
  const error = explainErrno(errno, 'kexec_file_load', planWith(), machine);
  expect(error.code).toBe('load-failed');
  expect(error.message).toMatch(new RegExp(`: ${name}: `));
  expect(error.message).toMatch(message);
  expect(error.fix).toBeTruthy();
  expect(error.exitCode).toBe(exitCode);
});

test('an unload that failed says so', () => {
  const error = explainErrno(EADDRNOTAVAIL, 'kexec_file_load', planUnload('crash', machine), machine);
  expect(error.code).toBe('unload-failed');
});

describe('kexec_load', () => {
  const explain = (errno: number, permission: Partial<MachineFacts['permission']> = {}) =>
    explainErrno(errno, 'kexec_load', planWith({ choice: 'kexec_load' }), withPermission(permission));
  test.each([
    [
      EPERM,
      { lockdown: 'integrity', secureBoot: true },
      /locked down \(integrity, Secure Boot is on\).*forbidden/,
    ],
    [EPERM, { capSysBoot: false }, /CAP_SYS_BOOT/],
    [EPERM, {}, /forbids it to this process/],
    [EACCES, { imaRules: ['appraise func=KEXEC_KERNEL_CHECK'] }, /no file to appraise \(seen: appraise func/],
    [EACCES, {}, /no file to appraise$/],
    [ENOSYS, {}, /syscall kexec_load not available/],
    [EADDRNOTAVAIL, {}, /outside of the reserved memory \(201326592 bytes\)/],
    [EINVAL, {}, /flags or the segments/],
    [EBUSY, {}, /another kexec load/],
    [ENOMEM, {}, /too little free memory/],
  ])('errno %d, %o', (errno, permission, message) => {
    const error = explain(errno, permission);
    expect(error.message).toMatch(/^kexec_load failed: E/);
    expect(error.message).toMatch(message);
    expect(error.fix).toBeTruthy();
    // There is nothing that could be tried after it.
    expect(error.exitCode).toBe(255);
  });
  test('facts for programs', () => {
    expect(explain(EPERM, { lockdown: 'integrity', secureBoot: true }).toJSON()).toMatchObject({
      error: 'load-failed',
      facts: {
        errno: 'EPERM',
        syscall: 'kexec_load',
        lockdown: 'integrity',
        secureBoot: true,
        ima: '',
        crashSize: 201326592,
      },
    });
  });
});

test('an unsigned kernel in a signed envelope', () => {
  const uki = { commandLine: null, initrd: null, dtb: null, signed: true };
  const kernel = { ...kernelFile(), wrapping: ['uki'] as const, uki };
  const error = explainErrno(EKEYREJECTED, 'kexec_file_load', planWith({}, { kernel }), machine);
  expect(error.message).toMatch(/the kernel inside the unified image carries no signature/);
});
