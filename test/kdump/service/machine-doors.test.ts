import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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

test('dumps are found where the settings say, and where the machine as it was armed has saved them, each once', () => {
  const places = { '/var/crash/now': '2026-03-04', '/old/before': '2026-03-03', '/old/after': '2026-03-05' };
  for (const [place, day] of Object.entries(places))
    put(
      root,
      `${place}/dump.json`,
      JSON.stringify({ format: 1, state: 'complete', crashTime: `${day}T05:06:07Z` }),
    );
  const old: Saves = { ...settings, targets: [{ kind: 'directory', path: '/old' }] };
  const found = machineServiceDoors(root).findDumps([settings, old, old]);
  expect(found.map(({ directory }) => directory)).toEqual(
    ['/old/before', '/var/crash/now', '/old/after'].map((place) => join(root, place)),
  );
});
