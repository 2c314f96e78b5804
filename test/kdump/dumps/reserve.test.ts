import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listDumps } from '../../../src/kdump/dumps/list.ts';
import { giveUpReserve, keepReserve } from '../../../src/kdump/dumps/reserve.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-reserve-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
const path = (): string => join(directory, '.kdump-reserve');

test('takes room on the disk, which nobody takes for a dump, until it is given up', () => {
  expect(keepReserve(directory)).toBe(true);
  const { blocks, mode, ino } = statSync(path());
  expect(blocks * 512).toBeGreaterThanOrEqual(4 << 20);
  expect(mode & 0o777).toBe(0o600);
  expect(listDumps(directory)).toEqual([]);
  expect(keepReserve(directory)).toBe(true);
  expect(statSync(path()).ino).toBe(ino);
  expect(giveUpReserve(directory)).toBe(true);
  expect(existsSync(path())).toBe(false);
  expect(giveUpReserve(directory)).toBe(false);
});

test('follows no link', () => {
  const victim = join(directory, 'victim');
  writeFileSync(victim, 'kept');
  symlinkSync(victim, path());
  expect(() => keepReserve(directory)).toThrow(/ELOOP/);
  expect(readFileSync(victim, 'utf8')).toBe('kept');
});
