import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readBootParameters } from '../../../src/kdump/capture/boot-parameters.ts';

it.each([
  ['root=/dev/vda quiet', { testId: null, rehearsal: false, vmcore: '/proc/vmcore' }],
  ['kdump_test_id=1763720000123 quiet\n', { testId: '1763720000123' }],
  ['kdump_test_id=../../etc', { testId: null }],
  ['kdump.rehearsal=1 kdump.vmcore=/stand-in', { rehearsal: true, vmcore: '/stand-in' }],
  // A real capture has one vmcore, whatever else is said.
  ['kdump.vmcore=/stand-in', { rehearsal: false, vmcore: '/proc/vmcore' }],
])('%j', (line, expected) => {
  const root = mkdtempSync(join(tmpdir(), 'kdump-test-'));
  mkdirSync(join(root, 'proc'));
  writeFileSync(join(root, 'proc/cmdline'), line);
  expect(readBootParameters(root)).toMatchObject(expected);
  rmSync(root, { recursive: true });
});
