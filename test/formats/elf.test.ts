import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  noPhysicalAddress,
  type ProgramHeader,
  PT_LOAD,
  programHeaderLayout,
  readElfCore,
  readNotes,
} from '../../src/formats/elf.ts';
import { writeStruct } from '../../src/lib/layout.ts';
import { buildVmcore, note } from '../helpers/vmcore.ts';

const reader =
  (bytes: Buffer) =>
  (offset: number, length: number): Uint8Array =>
    bytes.subarray(offset, offset + length);

test('program headers with 64-bit addresses', () => {
  const { bytes } = buildVmcore({ pages: 256, segments: [{ start: 1, end: 3 }] });
  const core = readElfCore(reader(bytes), 'core');
  expect(core.machine).toBe(62);
  expect(core.programHeaders[1]).toMatchObject({
    type: PT_LOAD,
    vaddr: 0xffff_8880_0000_1000n,
    paddr: 0x1000n,
    filesz: 8192,
    memsz: 8192,
  });
});

test('more than 65534 segments are counted by section header 0 (PN_XNUM)', () => {
  const { bytes } = buildVmcore({ pages: 256, segments: [{ start: 0, end: 1 }] });
  const section = Buffer.alloc(64);
  section.writeUInt32LE(2, 44);
  const extended = Buffer.concat([bytes, section]);
  extended.writeUInt16LE(0xffff, 56);
  extended.writeBigUInt64LE(BigInt(bytes.length), 40);
  expect(readElfCore(reader(extended), 'core').programHeaders).toHaveLength(2);
});

/** A core of three segments, one of them without a physical address, as /proc/kcore begins. */
function threeSegments(change: Partial<ProgramHeader>, paddr = noPhysicalAddress): Buffer {
  const segments = [0, 1, 2].map((start) => ({ start, end: start + 1 }));
  const { bytes } = buildVmcore({ pages: 256, segments });
  writeStruct(programHeaderLayout, bytes, 64 + 2 * 56, { paddr });
  for (const [field, value] of Object.entries(change) as ['offset' | 'filesz' | 'memsz', number][])
    bytes.writeBigUInt64LE(BigInt(value) + 1n, 64 + 2 * 56 + programHeaderLayout.fields[field][0]);
  return bytes;
}

describe('with 5-level paging', () => {
  // Of Linux 6.12, whose vmalloc area has a byte less than 12800 TiB.
  const vmalloc = { offset: 2 ** 55 + 2 ** 53 + 0x2000, filesz: 2 ** 53 + 2 ** 52, memsz: 2 ** 53 + 2 ** 52 };

  test('headers without a physical address may say what they like', () => {
    const core = readElfCore(reader(threeSegments(vmalloc)), 'kcore');
    expect(core.programHeaders.map(({ paddr }) => paddr)).toEqual([0n, 0n, noPhysicalAddress, 0x2000n]);
    expect(core.programHeaders[3]).toMatchObject({ filesz: 4096, memsz: 4096 });
  });

  test.each([
    ['offset', /^kcore offset 176: Elf64_Phdr.offset = 0xa0000000002001 is more than can be read$/],
    ['filesz', /Elf64_Phdr.filesz = 0x30000000000001 /],
    ['memsz', /Elf64_Phdr.memsz = 0x30000000000001 /],
  ] as const)('others need a number that is exact: %s', (field, message) => {
    const bytes = threeSegments({ [field]: vmalloc[field] }, 0x1000n);
    expect(() => readElfCore(reader(bytes), 'kcore')).toThrow(message);
  });

  test.each([2 ** 53 + 8, 2 ** 56 - 4096])('an offset of %d is exact', (offset) => {
    const bytes = threeSegments({}, 0x1000n);
    bytes.writeBigUInt64LE(BigInt(offset), 64 + 2 * 56 + 8);
    expect(readElfCore(reader(bytes), 'kcore').programHeaders[2]!.offset).toBe(offset);
    bytes.writeBigUInt64LE(2n ** 57n, 64 + 2 * 56 + 8);
    expect(() => readElfCore(reader(bytes), 'kcore')).toThrow(/more than can be read/);
  });
});

test.each([
  ['32-bit', 4, 1, /only 64-bit little-endian ELF is read \(EI_CLASS 1, EI_DATA 1\)/],
  ['big-endian', 5, 2, /EI_CLASS 2, EI_DATA 2/],
  ['an executable', 16, 2, /e_type is 2, a core has 4/],
  ['odd program headers', 54, 32, /e_phentsize is 32, expected 56/],
])('refuses %s', (_, at, value, message) => {
  const { bytes } = buildVmcore({ pages: 256 });
  bytes[at] = value;
  expect(() => readElfCore(reader(bytes), 'core')).toThrow(message);
});

test('notes come back as they were written, whatever their lengths', () => {
  const drawn = fc.array(
    fc.tuple(
      fc.stringMatching(/^[A-Z]{1,9}$/),
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
    ),
  );
  fc.assert(
    fc.property(drawn, fc.nat(40), (notes, padding) => {
      const bytes = Buffer.concat([
        ...notes.map(([name, type, text]) => note(name, type, Buffer.from(text))),
        Buffer.alloc(padding),
      ]);
      const read = readNotes(bytes);
      expect(read.map((n) => [n.name, n.type, [...n.description]])).toEqual(
        notes.map(([name, type, text]) => [name, type, [...text]]),
      );
      for (const n of read)
        expect([...bytes.subarray(n.offset, n.offset + n.description.length)]).toEqual([...n.description]);
    }),
  );
});

test('a note that claims more than there is ends the walk', () => {
  const bytes = Buffer.concat([note('CORE', 1, Buffer.alloc(8)), note('VMCOREINFO', 0, Buffer.alloc(64))]);
  expect(readNotes(bytes.subarray(0, bytes.length - 4)).map((n) => n.name)).toEqual(['CORE']);
});
