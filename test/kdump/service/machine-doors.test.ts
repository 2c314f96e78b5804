import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { machineServiceDoors } from '../../../src/kdump/service/machine-doors.ts';
import type { Saves } from '../../../src/kdump/service/state.ts';
import { put, settings } from './fixture.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kdump-doors-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const old: Saves = { ...settings, targets: [{ kind: 'directory', path: '/old' }] };
const found = () =>
  machineServiceDoors(root)
    .findDumps([settings, old, old])
    .map(({ directory }) => directory.slice(root.length));
const putDump = (place: string, report: object): string =>
  put(
    root,
    `${place}/dump.json`,
    JSON.stringify({ format: 1, state: 'complete', host: hostname(), ...report }),
  );

test('dumps are found where the settings say, and where the machine as it was armed has saved them, each once', () => {
  putDump('/var/crash/now', { crashTime: '2026-03-04T05:06:07Z' });
  putDump('/old/before', { crashTime: '2026-03-03T05:06:07Z' });
  putDump('/old/after', { crashTime: '2026-03-05T05:06:07Z' });
  expect(found()).toEqual(['/old/before', '/var/crash/now', '/old/after']);
});

test('the account of a dump that is there itself is no dump of its own', () => {
  const crashTime = '2026-03-04T05:06:07Z';
  putDump('/var/lib/kdump/crashes/a', { crashTime, copy: true });
  expect(found()).toEqual(['/var/lib/kdump/crashes/a']);
  putDump('/old/a', { crashTime });
  expect(found()).toEqual(['/old/a']);
});

test('dumps of other machines are left out, but for those of a name that this one had when it was armed', () => {
  putDump('/old/a', { host: 'other' });
  putDump('/old/b', { host: hostname() });
  expect(found()).toEqual(['/old/b']);
  const saves = { ...old, names: ['other'] };
  expect(machineServiceDoors(root).findDumps([settings, saves])).toHaveLength(2);
});
