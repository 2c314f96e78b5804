import { describe, expect, test } from 'vitest';
import type { MachineFacts } from '../../src/kexec/machine.ts';
import { permissionErrors } from '../../src/kexec/permission.ts';
import { machineOf } from './fixtures.ts';

const machine = machineOf('vm-512m');
const withPermission = (permission: Partial<MachineFacts['permission']>): MachineFacts => ({
  ...machine,
  permission: { ...machine.permission, ...permission },
});
const codes = (type: 'crash' | 'normal', permission: Partial<MachineFacts['permission']>) =>
  permissionErrors(type, withPermission(permission)).map((error) => error.code);

describe('permissionErrors', () => {
  test('none, also when nothing is known', () => {
    expect(codes('crash', {})).toEqual([]);
    expect(
      codes('crash', {
        capSysBoot: null,
        loadDisabled: null,
        limits: { crash: null, normal: null },
        lockdown: null,
      }),
    ).toEqual([]);
  });
  test('no CAP_SYS_BOOT', () => expect(codes('crash', { capSysBoot: false })).toEqual(['no-permission']));
  test('kexec_load_disabled', () =>
    expect(codes('normal', { loadDisabled: true })).toEqual(['kexec-load-disabled']));
  test('limits count for their own image only', () => {
    const limits = { crash: 0, normal: 3 };
    expect(codes('crash', { limits })).toEqual(['kexec-load-limit']);
    expect(codes('normal', { limits })).toEqual([]);
    expect(permissionErrors('crash', withPermission({ limits }))[0]!.message).toContain(
      'kexec_load_limit_panic',
    );
    expect(
      permissionErrors('normal', withPermission({ limits: { crash: -1, normal: 0 } }))[0]!.message,
    ).toContain('kexec_load_limit_reboot');
  });
  test('all that apply, the most basic one first', () => {
    expect(codes('crash', { capSysBoot: false, loadDisabled: true })).toEqual([
      'no-permission',
      'kexec-load-disabled',
    ]);
  });
});
