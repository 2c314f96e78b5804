import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ByteSource } from '../../../src/dump/input/bytes.ts';
import { ElfSource } from '../../../src/dump/input/elf-source.ts';
import { noPhysicalAddress, programHeaderLayout } from '../../../src/formats/elf.ts';
import { PageBitmap } from '../../../src/lib/bitmap.ts';
import { writeStruct } from '../../../src/lib/layout.ts';
import { buildVmcore, pageSize } from '../../helpers/vmcore.ts';

/**
 * Four pages of memory as /proc/kcore shows them with 5-level paging: the kernel's text and all memory beyond 2^53, and
 * the vmalloc area, which is no physical memory and has a size that no number holds.
 */
function fiveLevelCore(): { file: ByteSource; memory: Buffer } {
  const segments = [
    { start: 2, end: 3 },
    { start: 0, end: 1 },
    { start: 0, end: 4 },
  ];
  const { bytes } = buildVmcore({ pages: 256, segments });
  const memory = Buffer.from(Array.from({ length: 4 * pageSize }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
  const text = 2 ** 56 - 2 ** 31;
  const linear = 2 ** 54 + 2 ** 40;
  const at = (index: number): number => 64 + (1 + index) * programHeaderLayout.size;
  bytes.writeBigUInt64LE(BigInt(text), at(0) + 8);
  writeStruct(programHeaderLayout, bytes, at(1), { paddr: noPhysicalAddress });
  bytes.writeBigUInt64LE(0xa0_0000_0000_2001n, at(1) + 8);
  bytes.writeBigUInt64LE(0x31_ffff_ffff_ffffn, at(1) + 32);
  bytes.writeBigUInt64LE(BigInt(linear), at(2) + 8);
  const places = [
    { offset: 0, content: bytes },
    { offset: linear, content: memory },
    { offset: text, content: memory.subarray(2 * pageSize, 3 * pageSize) },
  ];
  const file: ByteSource = {
    path: 'kcore',
    size: 2 ** 56,
    readInto(offset, target) {
      const place = places.findLast((each) => offset >= each.offset)!;
      // As the system sees it: an offset that was rounded reads other bytes.
      const from = Number(BigInt(offset) - BigInt(place.offset));
      return place.content.copy(target, 0, from, from + target.length);
    },
    view: () => undefined,
    close: () => {},
  };
  return { file, memory };
}

test('what lies beyond 2^53 in the file is read exactly', () => {
  const { file, memory } = fiveLevelCore();
  const source = new ElfSource(file);
  expect(source.ranges).toEqual([
    { start: 2 * pageSize, end: 3 * pageSize },
    { start: 0, end: 4 * pageSize },
  ]);
  fc.assert(
    fc.property(fc.nat(4 * pageSize - 1), fc.nat(2 * pageSize), (paddr, length) => {
      const target = Buffer.alloc(Math.min(length, memory.length - paddr));
      expect(source.readInto(paddr, target)).toBeUndefined();
      expect(target.equals(memory.subarray(paddr, paddr + target.length))).toBe(true);
    }),
  );
  const wanted = new PageBitmap(8);
  wanted.setRange(0, 4);
  const pages = source.pages(pageSize, wanted);
  for (let pfn = 0; pfn < 4; pfn++) {
    expect(pages.load(pfn)).toBeUndefined();
    const page = memory.subarray(pfn * pageSize, (pfn + 1) * pageSize);
    expect(pages.bytes.subarray(pages.at, pages.at + pageSize).equals(page)).toBe(true);
  }
});
