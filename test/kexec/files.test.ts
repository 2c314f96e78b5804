import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readInitrd, readKernel } from '../../src/kexec/files.ts';
import { errorOf } from './fixtures.ts';
import { syntheticHead, syntheticSize } from './synthetic-kernel.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kexec-files-'));
});
afterEach(() => rmSync(dir, { recursive: true }));
const put = (name: string, bytes: Uint8Array | string, size?: number): string => {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  if (size !== undefined) truncateSync(path, size);
  return path;
};

describe('readKernel', () => {
  test('reads the head of a file of any size', () => {
    const path = put('vmlinuz', syntheticHead(), syntheticSize + 1472);
    const kernel = readKernel(path);
    expect(kernel).toMatchObject({ path, size: syntheticSize + 1472 });
    expect(kernel.image.kernel_version).toMatch(/^6\.1/);
  });
  test.each([
    ['missing', () => join(dir, 'none'), 'kernel-file', /none: no such file/],
    ['empty', () => put('empty', ''), 'kernel-file', /empty: is empty/],
    ['a directory', () => dir, 'kernel-file', /is a directory/],
    ['not a kernel', () => put('text', 'hello\n'.repeat(999)), 'not-a-kernel', /not an x86 kernel/],
    ['short', () => put('short', syntheticHead(), 4_000_000), 'kernel-truncated', /truncated/],
    ['behind a file', () => join(put('file', 'x'), 'kernel'), 'kernel-file', /cannot be opened.*ENOTDIR/],
  ])('refuses one that is %s', (_, path, code, message) => {
    const error = errorOf(() => readKernel(path()));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(255);
    expect(error.facts.path).toBeTruthy();
  });
});

describe('readInitrd', () => {
  test('knows the size', () => {
    expect(readInitrd(put('initrd', 'x'.repeat(5000))).size).toBe(5000);
  });
  test.each([
    ['missing', () => join(dir, 'none'), /initrd .*none: no such file/],
    ['empty', () => put('empty', ''), /is empty/],
    ['a directory', () => dir, /is a directory/],
    ['a device', () => '/dev/null', /is not a regular file/],
  ])('refuses one that is %s', (_, path, message) => {
    const error = errorOf(() => readInitrd(path()));
    expect(error.code).toBe('initrd-file');
    expect(error.message).toMatch(message);
  });
});
