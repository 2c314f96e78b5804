import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  forgetLastGood,
  type Keepable,
  keepLastGood,
  locateKept,
  readLastGood,
} from '../../src/kexec/last-good.ts';
import { errorOf, wishFor } from './fixtures.ts';

let dir: string;
let store: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kexec-last-good-'));
  store = join(dir, 'state', 'armed');
});
afterEach(() => rmSync(dir, { recursive: true }));

const put = (name: string, text: string): { path: string; size: number } => {
  const path = join(dir, name);
  writeFileSync(path, text);
  return { path, size: Buffer.byteLength(text) };
};
const loadOf = (kernel: string, initrd: string | null): Keepable => ({
  loaded: '2026-01-02T03:04:05.000Z',
  kernelRelease: '6.12.0',
  bootId: 'b',
  kernel: { ...put('vmlinuz', kernel), version: '6.12.0 #1' },
  initrd: initrd === null ? null : put('initrd', initrd),
  wish: wishFor(),
  syscall: 'kexec_file_load',
  flagBits: 2,
});
const names = () => readdirSync(store).sort();
const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('what is kept', () => {
  test('is read back, and is nobody else’s to read', () => {
    const kept = keepLastGood(store, loadOf('kernel', 'initrd'));
    expect(readLastGood(store)).toEqual(kept);
    expect(names()).toEqual(['armed.json', `initrd-${kept.initrd!.sha256}`, `kernel-${kept.kernel.sha256}`]);
    expect(modeOf(store)).toBe(0o700);
    for (const name of names()) expect(modeOf(join(store, name))).toBe(0o600);
    expect(readFileSync(join(store, `kernel-${kept.kernel.sha256}`), 'utf8')).toBe('kernel');
  });
  test('takes the place of what was kept before; copies that are there are not made again', () => {
    const first = keepLastGood(store, loadOf('kernel', 'initrd'));
    const copy = join(store, `kernel-${first.kernel.sha256}`);
    const { ino, mtimeMs } = statSync(copy);
    writeFileSync(join(store, `initrd-${'0'.repeat(64)}-incomplete`), 'half');
    writeFileSync(join(store, 'not-ours'), '');
    const second = keepLastGood(store, loadOf('kernel', 'another initrd'));
    expect(names()).toEqual([
      'armed.json',
      `initrd-${second.initrd!.sha256}`,
      `kernel-${first.kernel.sha256}`,
      'not-ours',
    ]);
    expect(statSync(copy)).toMatchObject({ ino, mtimeMs });
    keepLastGood(store, loadOf('kernel', null));
    expect(names()).toEqual(['armed.json', `kernel-${first.kernel.sha256}`, 'not-ours']);
  });
  test('is not what has changed since it was loaded', () => {
    const load = loadOf('kernel', 'initrd');
    appendFileSync(load.kernel.path, ' and more');
    expect(errorOf(() => keepLastGood(store, load)).code).toBe('file-changed');
    expect(readLastGood(store)).toBeNull();
  });
  test('is forgotten', () => {
    keepLastGood(store, loadOf('kernel', 'initrd'));
    forgetLastGood(store);
    expect(readLastGood(store)).toBeNull();
    expect(names()).toEqual([]);
    forgetLastGood(join(dir, 'nowhere'));
  });
});

describe('where a kept file is found', () => {
  test('at its own place while it is unchanged, else the copy', () => {
    const { kernel } = keepLastGood(store, loadOf('kernel', null));
    const copy = join(store, `kernel-${kernel.sha256}`);
    expect(locateKept(store, 'kernel', kernel)).toBe(kernel.path);
    writeFileSync(kernel.path, 'kernam');
    expect(locateKept(store, 'kernel', kernel)).toBe(copy);
    rmSync(kernel.path);
    expect(locateKept(store, 'kernel', kernel)).toBe(copy);
    writeFileSync(copy, 'kernam');
    expect(errorOf(() => locateKept(store, 'kernel', kernel)).message).toMatch(/digest differs/);
    rmSync(copy);
    expect(errorOf(() => locateKept(store, 'kernel', kernel)).code).toBe('bad-copy');
  });
});

describe('a directory or a record that is not ours', () => {
  test('others could write to it', () => {
    keepLastGood(store, loadOf('kernel', null));
    chmodSync(store, 0o770);
    expect(errorOf(() => readLastGood(store)).code).toBe('unsafe-directory');
    expect(errorOf(() => keepLastGood(store, loadOf('kernel', null))).code).toBe('unsafe-directory');
    expect(errorOf(() => forgetLastGood(store)).code).toBe('unsafe-directory');
  });
  test('a link', () => {
    mkdirSync(join(dir, 'elsewhere'), { mode: 0o700 });
    mkdirSync(join(dir, 'state'));
    symlinkSync(join(dir, 'elsewhere'), store);
    expect(errorOf(() => keepLastGood(store, loadOf('kernel', null))).code).toBe('unsafe-directory');
  });
  test.each([
    ['no JSON', '{'],
    ['null', 'null'],
    ['a newer format', '{"format":2}'],
    ['a path for a digest', JSON.stringify({ format: 1, kernel: { path: '/k', sha256: '../../etc' } })],
    ['no wish', JSON.stringify({ format: 1, kernel: { path: '/k', sha256: '0'.repeat(64) }, initrd: null })],
  ])('%s', (_, text) => {
    keepLastGood(store, loadOf('kernel', null));
    writeFileSync(join(store, 'armed.json'), text);
    expect(errorOf(() => readLastGood(store)).code).toBe('bad-record');
  });
});
