import { closeSync, fstatSync, ftruncateSync, readdirSync, readSync, writeSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { duplicate, writeMemfd } from '../../src/system/memfd.ts';

const opened: number[] = [];
const open = (fd: number): number => {
  opened.push(fd);
  return fd;
};
afterEach(() => {
  for (const fd of opened.splice(0)) closeSync(fd);
});
const errnoOf = (run: () => void): string | undefined => {
  try {
    run();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  return undefined;
};

test('holds what was written, and nothing can change it', () => {
  const piece = Buffer.alloc(3_000_000, 'abc');
  const fd = open(
    writeMemfd('test', (write) => {
      write(piece);
      write(Buffer.from('end'));
    }),
  );
  expect(fstatSync(fd).size).toBe(3_000_003);
  const bytes = Buffer.alloc(3_000_003);
  // From where the descriptor stands: the beginning.
  expect(readSync(fd, bytes)).toBe(bytes.length);
  expect(bytes.equals(Buffer.concat([piece, Buffer.from('end')]))).toBe(true);

  expect(errnoOf(() => writeSync(fd, 'x', 0))).toBe('EPERM');
  expect(errnoOf(() => ftruncateSync(fd, 0))).toBe('EPERM');
  expect(errnoOf(() => ftruncateSync(fd, 4_000_000))).toBe('EPERM');
});

test('is closed when filling it fails', () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const fail = () =>
    writeMemfd('test', () => {
      throw new Error('no');
    });
  expect(fail).toThrow('no');
  const before = descriptors();
  expect(fail).toThrow('no');
  expect(descriptors()).toBe(before);
});

test('a duplicate outlives the original', () => {
  const fd = writeMemfd('test', (write) => write(Buffer.from('text')));
  const copy = open(duplicate(fd));
  closeSync(fd);
  expect(fstatSync(copy).size).toBe(4);
  expect(() => duplicate(fd)).toThrow(/cannot be duplicated: bad file descriptor/);
});
