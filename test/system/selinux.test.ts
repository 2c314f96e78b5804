import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hasSelinux, relabel } from '../../src/system/selinux.ts';
import { withRoot } from '../kdump/config/fixtures.ts';

let directory: string;
const path = process.env.PATH;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-selinux-'));
  process.env.PATH = `${directory}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(directory, { recursive: true });
});

function restorecon(status: number): string {
  const said = join(directory, 'said');
  writeFileSync(join(directory, 'restorecon'), `#!/bin/sh\necho "$@" >>${said}\nexit ${status}\n`);
  chmodSync(join(directory, 'restorecon'), 0o755);
  return said;
}

test('a policy is there when its file system is', () => {
  expect(withRoot({ x: '' }, hasSelinux)).toBe(false);
  expect(withRoot({ 'sys/fs/selinux/enforce': '0' }, hasSelinux)).toBe(true);
});

test('directories are labelled with what is in them, and none without need', () => {
  const said = restorecon(0);
  relabel([]);
  expect(existsSync(said)).toBe(false);
  relabel(['/var/crash/a', '/var/crash/b']);
  expect(readFileSync(said, 'utf8')).toBe('-R /var/crash/a /var/crash/b\n');
});

test('a failure is told', () => {
  restorecon(1);
  expect(() => relabel(['/var/crash/a'])).toThrow(/restorecon/);
});
