import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BootLoaderPlan, readBootLoader } from '../../../src/kdump/service/boot-loader/plan.ts';
import { type RenewalDoors, renewCrashkernel } from '../../../src/kdump/service/renew-crashkernel.ts';
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
const renew = (given: Partial<typeof settings> = {}, doors: Partial<RenewalDoors> = {}) =>
  renewCrashkernel(
    { ...settings, ...given },
    {
      root,
      directory: directory(),
      isEnabled: true,
      readBootLoader: () => readBootLoader(root, (name) => name === 'update-grub'),
      apply: (plan) => void applied.push(plan),
      ...doors,
    },
  );
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
