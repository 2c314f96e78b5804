import { describe, expect, test } from 'vitest';
import { checkSegments } from '../../../src/kexec/segments/check.ts';
import type { Segment } from '../../../src/kexec/segments/segment.ts';
import { errorOf } from '../fixtures.ts';

const page = 4096;
const ram = [
  { start: 1 * page, end: 100 * page },
  { start: 100 * page, end: 200 * page },
  { start: 300 * page, end: 400 * page },
];
const segment = (first: number, pages: number, changes: Partial<Segment> = {}): Segment => ({
  name: 'initrd',
  bytes: new Uint8Array(1),
  mem: first * page,
  memsz: pages * page,
  verified: true,
  ...changes,
});
const check = (...segments: Segment[]) => checkSegments(segments, ram, ram);

describe('a list of segments', () => {
  test('is as the kernel takes it', () => {
    check(segment(1, 10), segment(90, 20, { name: 'kernel' }), segment(11, 2));
  });
  test.each([
    [
      'half a page',
      [segment(10, 1, { mem: 10 * page + 512 })],
      /at 0xa200-0xb200 is not made of whole pages/,
    ],
    ['more bytes than memory', [segment(10, 1, { bytes: new Uint8Array(page + 1) })], /4097 bytes for 4096/],
    ['no memory', [segment(0, 2)], /for initrd at 0x0-0x2000 is not within memory/],
    ['a hole', [segment(199, 2)], /is not within memory/],
    ['an overlap', [segment(11, 2), segment(10, 2, { name: 'kernel' })], /overlaps the one for kernel/],
  ])('is refused: %s', (_what, segments, message) => {
    const error = errorOf(() => check(...segments));
    expect(error).toMatchObject({ code: 'bad-segment', exitCode: 255 });
    expect(error.message).toMatch(message);
  });
  test('has sixteen at most', () => {
    const many = Array.from({ length: 16 }, (_, i) => segment(10 + 2 * i, 1));
    check(...many);
    expect(errorOf(() => check(...many, segment(80, 1))).code).toBe('too-many-segments');
  });
  test('takes half of the RAM at most', () => {
    const half = [segment(1, 99), segment(110, 50)];
    expect(errorOf(() => check(...half, segment(300, 1))).code).toBe('image-too-large');
    check(...half);
  });
});
