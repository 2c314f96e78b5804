import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openWatchdog } from '../../src/system/watchdog.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kdump-test-'));
});
afterEach(() => rmSync(root, { recursive: true }));

it('is fed by anything, and stopped by a V', () => {
  // A file knows no timeout, so it is one of 0 seconds.
  writeFileSync(join(root, 'watchdog'), '');
  const watchdog = openWatchdog(0, join(root, 'watchdog'))!;
  watchdog.feed();
  watchdog.close();
  expect(readFileSync(join(root, 'watchdog'), 'latin1')).toBe('\0V');
});

it('is stopped at once when it does not wait as long as it should', () => {
  writeFileSync(join(root, 'watchdog'), '');
  expect(openWatchdog(60, join(root, 'watchdog'))).toBeUndefined();
  expect(readFileSync(join(root, 'watchdog'), 'latin1')).toBe('V');
});

it('need not be there, and is not made', () => {
  expect(openWatchdog(60, join(root, 'none'))).toBeUndefined();
  expect(() => readFileSync(join(root, 'none'))).toThrow();
});
