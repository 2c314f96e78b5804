import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFileSink } from '../../../src/dump/output/file-sink.ts';
import { openNullSink } from '../../../src/dump/output/null-sink.ts';
import type { KdumpError } from '../../../src/lib/errors.ts';

let directory: string;
let count = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'file-sink-'));
});
afterAll(() => rmSync(directory, { recursive: true }));
const fresh = (): string => join(directory, `${count++}`);

const errorOf = (run: () => unknown): KdumpError => {
  try {
    run();
  } catch (error) {
    return error as KdumpError;
  }
  throw new Error('nothing was thrown');
};

test('a new file is for its owner only; bytes go where they belong, and can be read back and written again', () => {
  const path = fresh();
  const sink = openFileSink(path, { overwrite: false });
  expect(sink.rewritable).toBe(true);
  expect(sink.write(Buffer.from('world'), 6)).toBe(5);
  expect(sink.write(Buffer.from('hello'), 0)).toBe(5);
  expect(sink.write(Buffer.from('J'), 0)).toBe(1);
  const back = Buffer.alloc(5);
  expect(sink.readBack?.(6, back)).toBe(true);
  expect(back.toString()).toBe('world');
  expect(sink.readBack?.(7, back)).toBe(false);
  sink.close();
  expect(sink.written).toBe(11);
  expect(readFileSync(path, 'latin1')).toBe('Jello\0world');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a file that exists is refused, or with -f emptied', () => {
  const path = fresh();
  writeFileSync(path, 'a long text from before');
  const error = errorOf(() => openFileSink(path, { overwrite: false }));
  expect(error.code).toBe('exists');
  expect(error.toText()).toContain(`${path}: the file exists already`);
  expect(readFileSync(path, 'utf8')).toBe('a long text from before');
  const sink = openFileSink(path, { overwrite: true });
  sink.write(Buffer.from('new'), 0);
  sink.close();
  expect(readFileSync(path, 'utf8')).toBe('new');
});

test('a directory that does not exist, or one in place of the file, is named', () => {
  const missing = errorOf(() => openFileSink(join(directory, 'no', 'file'), { overwrite: false }));
  expect(missing.code).toBe('create-failed');
  expect(missing.message).toContain('the directory does not exist');
  const taken = errorOf(() => openFileSink(directory, { overwrite: true }));
  expect(taken.code).toBe('create-failed');
  expect(taken.message).toContain(directory);
});

test('the file that is read is never overwritten, by whatever name', () => {
  const path = fresh();
  writeFileSync(path, 'the only vmcore');
  const link = fresh();
  symlinkSync(path, link);
  const error = errorOf(() => openFileSink(link, { overwrite: true, inputs: ['/dev/null', path] }));
  expect(error.code).toBe('overwrites-input');
  expect(error.message).toContain(path);
  expect(readFileSync(path, 'utf8')).toBe('the only vmcore');
});

test('the limit is a size that the file does not grow beyond', () => {
  const path = fresh();
  const sink = openFileSink(path, { overwrite: false, limit: 1000 });
  expect(sink.write(Buffer.alloc(300, 1), 600)).toBe(300);
  expect(sink.write(Buffer.alloc(300, 2), 900)).toBe(100);
  expect(sink.write(Buffer.alloc(300, 3), 1000)).toBe(0);
  expect(sink.write(Buffer.alloc(300, 3), 5000)).toBe(0);
  // What lies before the limit has room.
  expect(sink.write(Buffer.alloc(600, 4), 0)).toBe(600);
  sink.reserve(0, 10_000);
  sink.close();
  expect(statSync(path).size).toBe(1000);
  expect(sink.written).toBe(1000);
});

test('room that is reserved reads as zeros, has its blocks, and never shortens the file', () => {
  const path = fresh();
  const sink = openFileSink(path, { overwrite: false });
  sink.reserve(10_000, 90_000);
  expect(statSync(path).size).toBe(100_000);
  sink.reserve(0, 10);
  sink.reserve(0, 0);
  expect(statSync(path).size).toBe(100_000);
  expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(90_000);
  sink.close();
  expect(readFileSync(path).every((byte) => byte === 0)).toBe(true);
  expect(sink.written).toBe(0);
});

test('a full device takes what it takes, without an error', () => {
  const sink = openFileSink('/dev/full', { overwrite: true });
  expect(sink.write(Buffer.alloc(100), 0)).toBe(0);
  sink.reserve(0, 2 ** 20);
  sink.discard();
  sink.close();
  expect(existsSync('/dev/full')).toBe(true);
});

test('discard removes the file that was made, and only that', () => {
  const path = fresh();
  const sink = openFileSink(path, { overwrite: false });
  sink.write(Buffer.from('x'), 0);
  sink.discard();
  sink.close();
  expect(existsSync(path)).toBe(false);

  const target = fresh();
  writeFileSync(target, 'before');
  const link = fresh();
  symlinkSync(target, link);
  const linked = openFileSink(link, { overwrite: true });
  linked.write(Buffer.from('half a dump'), 0);
  linked.discard();
  linked.close();
  expect(readFileSync(target, 'utf8')).toBe('');
  expect(readFileSync(link, 'utf8')).toBe('');

  const other = openFileSink(path, { overwrite: false });
  rmSync(path);
  writeFileSync(path, 'of someone else');
  other.discard();
  other.close();
  expect(readFileSync(path, 'utf8')).toBe('of someone else');
});

test('reading back tells when the file has become shorter', () => {
  const path = fresh();
  const sink = openFileSink(path, { overwrite: false });
  sink.write(Buffer.alloc(100, 7), 0);
  truncateSync(path, 50);
  expect(sink.readBack?.(0, Buffer.alloc(100))).toBe(false);
  sink.close();
});

test('a write that fails for another reason names the file and the offset', () => {
  const path = fresh();
  spawnSync('mkfifo', [path]);
  // A pipe has no offsets.
  const sink = openFileSink(path, { overwrite: true });
  const error = errorOf(() => sink.write(Buffer.alloc(1), 77));
  sink.close();
  expect(error.code).toBe('write-failed');
  expect(error.message).toContain(`${sink.path}: offset 77:`);
});

test('a dry run counts as a file would, and honours the limit', () => {
  const path = fresh();
  const sink = openNullSink(path, { limit: 1000 });
  expect(sink.write(Buffer.alloc(300), 600)).toBe(300);
  expect(sink.write(Buffer.alloc(300), 900)).toBe(100);
  expect(sink.write(Buffer.alloc(300), 1000)).toBe(0);
  expect(sink.written).toBe(400);
  sink.close();
  sink.discard();
  expect(existsSync(path)).toBe(false);
  expect(openNullSink(path).write(Buffer.alloc(300), 2 ** 50)).toBe(300);
});
