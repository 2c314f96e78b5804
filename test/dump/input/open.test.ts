import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ElfSource } from '../../../src/dump/input/elf-source.ts';
import { KdumpSource } from '../../../src/dump/input/kdump-source.ts';
import { openSource } from '../../../src/dump/input/open.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { flatten } from '../../helpers/bytes.ts';
import { buildKdump } from '../../helpers/kdump-builder.ts';
import { buildVmcore, pageSize, textPage } from '../../helpers/vmcore.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-open-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
function file(bytes: Uint8Array): string {
  const path = join(directory, `${files++}`);
  writeFileSync(path, bytes);
  return path;
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

const elf = buildVmcore({ pages: 32 }).bytes;
const kdump = (split?: { start: number; end: number }): Buffer =>
  buildKdump({
    maxMapnr: 128,
    pages: new Map([1, 100].map((pfn) => [pfn, textPage(pfn)])),
    ...(split ? { split } : {}),
  });
const stream = (bytes: Buffer, end = true): Buffer => flatten([{ offset: 0, bytes }], end);

test.each([
  ['an ELF core', () => [elf], ElfSource, 31],
  ['a flattened ELF core', () => [stream(elf)], ElfSource, 31],
  ['a kdump-compressed dump', () => [kdump()], KdumpSource, 100],
  ['a flattened kdump-compressed dump', () => [stream(kdump())], KdumpSource, 100],
  ['a split set', () => [kdump({ start: 64, end: 128 }), kdump({ start: 0, end: 64 })], KdumpSource, 100],
] as [string, () => Buffer[], typeof ElfSource | typeof KdumpSource, number][])(
  '%s',
  (_, make, kind, pfn) => {
    const before = openDescriptors();
    for (const mapped of [true, false]) {
      const source = openSource(make().map(file), { mapped });
      expect(source).toBeInstanceOf(kind);
      expect(source.readInto(pfn * pageSize, Buffer.alloc(8))).toBeUndefined();
      source.close();
    }
    expect(openDescriptors()).toBe(before);
  },
);

test.each([
  [
    'unknown-format',
    () => [Buffer.from('what is this?')],
    /no dump that is read; found 77 68 61 74 20 69 73 20/,
  ],
  ['unknown-format', () => [Buffer.alloc(0)], /found nothing at offset 0/],
  ['unknown-format', () => [Buffer.from('DISKDUMP')], /the ancient diskdump/],
  ['unknown-format', () => [Buffer.from('a8190173618f23fd', 'hex')], /a dump of s390/],
  ['unknown-format', () => [Buffer.from('ed238f61730119a8', 'hex')], /a dump of LKCD/],
  ['unknown-format', () => [Buffer.from('1f8b0800', 'hex')], /gzip data/],
  ['unknown-format', () => [stream(Buffer.from('nothing'))], /found 6e 6f/],
  ['truncated', () => [stream(kdump(), false)], /without its terminator/],
  ['truncated', () => [stream(kdump(), false).subarray(0, -10)], /inside the record at 4096/],
  ['split-set', () => [kdump(), elf], /parts of one kdump-compressed dump/],
  ['split-set', () => [elf, elf], /parts of one kdump-compressed dump/],
  ['split-set', () => [kdump({ start: 0, end: 64 })], /no part holds page frames 64 to 127/],
] as [string, () => Buffer[], RegExp][])('%s is told, and nothing stays open (%#)', (code, make, message) => {
  const paths = make().map(file);
  const before = openDescriptors();
  let error: unknown;
  try {
    openSource(paths);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(KdumpError);
  expect((error as KdumpError).code).toBe(code);
  expect((error as KdumpError).message).toMatch(message);
  expect(paths.some((path) => (error as KdumpError).message.includes(path))).toBe(true);
  expect(openDescriptors()).toBe(before);
});

test('a stream without its end: what to do', () => {
  try {
    openSource([file(stream(kdump(), false))]);
    expect.unreachable();
  } catch (error) {
    expect((error as KdumpError).fix).toMatch(/--salvage/);
  }
});

test('a file that is not there', () => {
  const before = openDescriptors();
  expect(() => openSource([file(kdump()), join(directory, 'absent')])).toThrow(/absent: cannot be opened/);
  expect(openDescriptors()).toBe(before);
});
