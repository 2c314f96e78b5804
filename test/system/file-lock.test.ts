import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFile } from '../../src/system/file-lock.ts';
import { errorOf } from '../kexec/fixtures.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'file-lock-'));
  path = join(directory, 'lock');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Whether another program can have it. */
const isFree = () => spawnSync('flock', ['-n', path, 'true']).status === 0;

test('keeps others out until it is given back', () => {
  const lock = lockFile(path, 0);
  expect(isFree()).toBe(false);
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  lock.release();
  expect(isFree()).toBe(true);
});

test('names who has it, when the wait is over', () => {
  const lock = lockFile(path, 0);
  expect(errorOf(() => lockFile(path, 0.2))).toMatchObject({
    code: 'locked',
    message: `process ${process.pid} has held ${path} for 0.2 s`,
  });
  lock.release();
  lockFile(path, 0).release();
});

test('follows no link', () => {
  symlinkSync(join(directory, 'elsewhere'), path);
  expect(() => lockFile(path, 0)).toThrow(/ELOOP/);
});
