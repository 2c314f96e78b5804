import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { extractDmesg } from '../../src/dump/dmesg.ts';
import { writeVmcore } from '../helpers/vmcore.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-dmesg-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

test('a vmcore without VMCOREINFO, or without a log, says what it lacks', () => {
  const path = join(directory, 'vmcore');
  writeVmcore(path, { vmcoreinfo: () => [] });
  expect(() => extractDmesg(path)).toThrow(`${path}: no VMCOREINFO note, so the log cannot be found`);
  writeVmcore(path);
  expect(() => extractDmesg([path])).toThrow(expect.objectContaining({ code: 'no-log' }));
});

test('what VMCOREINFO says is in the vmcore, and cannot be read, is named', () => {
  const path = join(directory, 'lost');
  writeVmcore(path, {
    vmcoreinfo: (lines) => [
      ...lines,
      'SYMBOL(log_buf)=ffffffff90000000',
      'SYMBOL(log_buf_len)=ffffffff90000008',
      'SYMBOL(log_end)=ffffffff90000010',
    ],
  });
  expect(() => extractDmesg(path)).toThrow('log_buf at 0xffffffff90000000 cannot be read: unmapped');
});
