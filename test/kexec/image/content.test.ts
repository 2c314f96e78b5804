import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  concatenate,
  descriptorOf,
  digestOf,
  FileContent,
  type ImageContent,
  memoryContent,
  partOf,
} from '../../../src/kexec/image/content.ts';
import { errorOf } from '../fixtures.ts';

const bytes = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7) & 255));
let dir: string;
let path: string;
let fd: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kexec-content-'));
  path = join(dir, 'file');
  writeFileSync(path, bytes);
  fd = openSync(path, 'r');
});
afterEach(() => {
  closeSync(fd);
  rmSync(dir, { recursive: true });
});

/** The same bytes, in every kind of content. */
const kinds: [string, () => ImageContent][] = [
  ['a file', () => new FileContent(fd, 'x')],
  ['memory', () => memoryContent(bytes, 'x')],
  [
    'a part',
    () => partOf(memoryContent(Buffer.concat([bytes, bytes]).subarray(1), 'whole'), 2999, 3000, 'x'),
  ],
  [
    'several',
    () =>
      concatenate(
        [0, 10, 10, 1500].map((start, i, starts) =>
          memoryContent(bytes.subarray(start, starts[i + 1] ?? 3000), 'part'),
        ),
        'x',
      ),
  ],
];

describe.each(kinds)('content of %s', (_, make) => {
  test('is read from anywhere, and never beyond its end', () => {
    const content = make();
    expect(content).toMatchObject({ size: 3000, name: 'x' });
    fc.assert(
      fc.property(fc.nat(3200), fc.nat(3200), (offset, length) => {
        if (offset + length <= 3000)
          expect(bytes.subarray(offset, offset + length).equals(content.read(offset, length))).toBe(true);
        else expect(errorOf(() => content.read(offset, length)).code).toBe('image-read');
      }),
    );
    for (const [offset, length] of [
      [-1, 1],
      [10, -1],
      [2 ** 53, 1],
      [Number.NaN, 1],
    ] as const)
      expect(errorOf(() => content.read(offset, length)).message).toMatch(/^x: bytes .*were asked for, 3000/);
  });

  test('has a digest', () => {
    expect(digestOf(make())).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('can be had as a descriptor', () => {
    const copy = descriptorOf(make());
    expect(readFileSync(copy).equals(bytes)).toBe(true);
    closeSync(copy);
  });
});

test('the digest is of all pieces of a large content', () => {
  const large = Buffer.alloc(2 * 1024 * 1024 + 5, 'large');
  expect(digestOf(memoryContent(large, 'x'))).toBe(createHash('sha256').update(large).digest('hex'));
});

test('a file that shrinks is noticed', () => {
  const content = new FileContent(fd, path);
  truncateSync(path, 100);
  const error = errorOf(() => content.read(0, 3000));
  expect(error.message).toBe(`${path}: ends at byte 100, 3000 were there when it was opened`);
  expect(error.exitCode).toBe(255);
});
