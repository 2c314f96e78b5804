import { describe, expect, test } from 'vitest';
import { crashMap, memmapWords, preservingMap } from '../../../src/kexec/segments/e820.ts';
import { layoutOf } from './images.ts';

const { memoryMap, crashRegions } = layoutOf();
const notRam = memoryMap.filter(({ type }) => type !== 'ram');
const low = { start: 0x1000, end: 0x9fc00 };

describe('the memory of a crash kernel', () => {
  test('is what was reserved, less what it must not touch, with the low memory that is saved', () => {
    const keep = [
      { start: 0x3bf00000, end: 0x3bf9f000 },
      { start: 0x3bffc000, end: 0x3c000000 },
    ];
    const regions = [{ start: 0x20000000, end: 0x21000000 }, ...crashRegions];
    expect(crashMap(memoryMap, regions, keep, low)).toEqual([
      { ...low, type: 'ram' },
      ...notRam.slice(0, 2),
      { start: 0x20000000, end: 0x21000000, type: 'ram' },
      { start: 0x30000000, end: 0x3bf00000, type: 'ram' },
      { start: 0x3bf9f000, end: 0x3bffc000, type: 'ram' },
      ...notRam.slice(2),
    ]);
  });
  test('has no low memory that nobody saves', () => {
    const map = crashMap(memoryMap, crashRegions, [], null);
    expect(map.filter(({ type }) => type === 'ram')).toEqual([{ ...crashRegions[0], type: 'ram' }]);
  });
});

test('a kernel that gives memory back has RAM only where it is exchanged', () => {
  const map = preservingMap(memoryMap, [{ start: 0x80000, end: 0x1000000 }]);
  expect(map).toEqual([
    { start: 0x80000, end: 0x9fc00, type: 'ram' },
    ...notRam.slice(0, 2),
    { start: 0x100000, end: 0x1000000, type: 'ram' },
    ...notRam.slice(2),
  ]);
});

test('memmap= names RAM in whole KiB and tables with all of their bytes', () => {
  expect(
    memmapWords([
      { start: 0x1001, end: 0x9fc01, type: 'ram' },
      { start: 0xa0000, end: 0xb8fff, type: 'ram' },
      { start: 0xf0000, end: 0x100000, type: 'reserved' },
      { start: 0x40000100, end: 0x40020001, type: 'acpi' },
      { start: 0x40030000, end: 0x40030400, type: 'nvs' },
      { start: 0x80000000, end: 0x80100000, type: 'pram' },
      { start: 0x90000000, end: 0x90100000, type: 'pmem' },
    ]),
  ).toBe('memmap=exactmap memmap=634K@5K memmap=129K#1048576K memmap=1K#1048768K memmap=1024K!2097152K');
});
