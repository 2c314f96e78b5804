import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type BootLoaderPlan, readBootLoader } from '../../../src/kdump/service/boot-loader/plan.ts';
import {
  equipNewKernel,
  type RenewalDoors,
  renewCrashkernel,
} from '../../../src/kdump/service/renew-crashkernel.ts';
import { readState, updateState } from '../../../src/kdump/service/state.ts';
import { fixtureRoot } from '../../kexec/fixtures.ts';
import { put, settings } from './fixture.ts';

const older = '1G-:192M';
const now = '2G-64G:256M,64G-:512M';
let root: string;
let applied: BootLoaderPlan[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kdump-renew-'));
  cpSync(fixtureRoot('vm-512m'), root, { recursive: true });
  put(root, 'etc/default/grub', `GRUB_CMDLINE_LINUX="crashkernel=${older}"\n`);
  applied = [];
});
afterEach(() => rmSync(root, { recursive: true }));

const directory = () => join(root, 'var/lib/kdump');
const doorsWith = (given: Partial<RenewalDoors> = {}): RenewalDoors => ({
  root,
  directory: directory(),
  isEnabled: true,
  readBootLoader: () => readBootLoader(root, (name) => name === 'update-grub'),
  apply: (plan) => void applied.push(plan),
  ...given,
});
const renew = (given: Partial<typeof settings> = {}, doors: Partial<RenewalDoors> = {}) =>
  renewCrashkernel({ ...settings, ...given }, doorsWith(doors));
const remembered = () => readState(directory()).defaultCrashkernel;

test('the first installation only remembers its default', () => {
  expect(renew()).toBeNull();
  expect([applied, remembered()]).toEqual([[], now]);
});

test('an update renews the older default, once', () => {
  updateState(directory(), { defaultCrashkernel: older });
  expect(renew()).toMatchObject({ before: older, after: now, plan: { by: 'GRUB' } });
  expect(applied).toHaveLength(1);
  expect(remembered()).toBe(now);
  expect(renew()).toBeNull();
  expect(applied).toHaveLength(1);
});

test('an update leaves alone what somebody has chosen', () => {
  updateState(directory(), { defaultCrashkernel: '1G-:128M' });
  expect(renew()).toBeNull();
  expect([applied, remembered()]).toEqual([[], now]);
});

test.each([
  ['auto_reset_crashkernel no', { autoResetCrashkernel: false }, {}],
  ['USE_KDUMP=0', { enabled: false }, {}],
  ['a service that is disabled', {}, { isEnabled: false }],
])('nothing is changed with %s; a later update may still do it', (_, given, doors) => {
  updateState(directory(), { defaultCrashkernel: older });
  expect(renew(given, doors)).toBeNull();
  expect([applied, remembered()]).toEqual([[], older]);
});

test('what could not be changed is tried again by the next update', () => {
  updateState(directory(), { defaultCrashkernel: older });
  const apply = (): never => {
    throw new Error('read-only');
  };
  expect(() => renew({}, { apply })).toThrow('read-only');
  expect(remembered()).toBe(older);
});

describe('a kernel that was installed', () => {
  const equip = (given: Partial<typeof settings> = {}) =>
    equipNewKernel('6.9-new', { ...settings, ...given }, doorsWith());
  const entry = (options: string) =>
    `title x\nversion 6.9-new\nlinux /0a1b/6.9-new/linux\noptions ${options}\n`;
  const other = 'version 6.1\nlinux /0a1b/6.1/linux\noptions ro\n';
  beforeEach(() => {
    put(root, 'boot/loader/entries/new.conf', entry('ro'));
    put(root, 'boot/loader/entries/old.conf', other);
    put(root, 'proc/cmdline', 'ro crashkernel=320M\n');
  });

  test('gets the crashkernel= that the machine runs with, and no other kernel does', () => {
    expect(equip()?.edits).toEqual([
      { path: '/boot/loader/entries/new.conf', before: entry('ro'), after: entry('ro crashkernel=320M') },
    ]);
    expect(applied).toHaveLength(1);
  });

  test('gets the default when the machine runs without', () => {
    put(root, 'proc/cmdline', 'ro\n');
    expect(equip()?.edits[0]?.after).toBe(entry(`ro crashkernel=${now}`));
  });

  test('is left alone when it has one, and when nothing may be changed', () => {
    expect(equip({ autoResetCrashkernel: false })).toBeNull();
    put(root, 'boot/loader/entries/new.conf', entry('crashkernel=1G'));
    expect(equip()).toBeNull();
    rmSync(join(root, 'boot/loader'), { recursive: true });
    expect(equip()).toBeNull();
    expect(applied).toEqual([]);
  });
});
