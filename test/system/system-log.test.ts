import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { toKernelLog, toSystemLog } from '../../src/system/system-log.ts';

let directory: string;
const path = process.env.PATH;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-log-'));
  process.env.PATH = `${directory}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(directory, { recursive: true });
});

test('the kernel gets a record for each line, with facility and priority, and none that it would cut', () => {
  const device = join(directory, 'kmsg');
  writeFileSync(device, '');
  toKernelLog('kdump', 'error', `one\n\n${'x'.repeat(2000)}`, device);
  toKernelLog('kdump', 'info', 'two', device);
  expect(readFileSync(device, 'utf8')).toBe(
    `<27>kdump: one\n<27>kdump: ${'x'.repeat(900)}\n<30>kdump: two\n`,
  );
  expect(() => toKernelLog('kdump', 'info', 'x', join(directory, 'none', 'x'))).not.toThrow();
});

test('logger gets text that looks like options as text', () => {
  const said = join(directory, 'said');
  writeFileSync(join(directory, 'logger'), `#!/bin/sh\necho "$@" >>${said}\nexit 1\n`);
  chmodSync(join(directory, 'logger'), 0o755);
  toSystemLog('kdump', 'warning', '--help\nb');
  const head = `-t kdump[${process.pid}] -p daemon.warning --`;
  expect(readFileSync(said, 'utf8')).toBe(`${head} --help\n${head} b\n`);
});
