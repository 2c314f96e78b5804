import { expect, test } from 'vitest';
import { type ProgramHeader, PT_LOAD, readElfCore, readNotes } from '../../src/formats/elf.ts';
import {
  elfFlagsOf,
  elfHeaderSize,
  elfHeadersSize,
  encodeElfFlags,
  encodeElfHeader,
  encodeNote,
  encodeProgramHeader,
  newElfHeader,
  programHeaderSize,
} from '../../src/formats/elf-encode.ts';

const header = (i: number): ProgramHeader => ({
  type: PT_LOAD,
  flags: 7,
  offset: 0x1000 + i,
  vaddr: 0xffff_8880_0000_0000n + BigInt(i),
  paddr: BigInt(i) << 12n,
  filesz: i,
  memsz: 2 * i,
  align: 8n,
});

/** Headers of a core with so many program headers. */
function core(count: number): Buffer {
  const bytes = Buffer.alloc(elfHeadersSize(count));
  const { header: head, section } = encodeElfHeader(newElfHeader(62), count, 1);
  bytes.set(head);
  for (let i = 0; i < count; i++)
    encodeProgramHeader(bytes, elfHeaderSize + i * programHeaderSize, header(i));
  if (section !== undefined) bytes.set(section, elfHeaderSize + count * programHeaderSize);
  return bytes;
}

test.each([0, 1, 2, 0xfffe, 0xffff, 0x1_0000, 0x1_2345])(
  'a core of %d program headers reads back',
  (count) => {
    const bytes = core(count);
    const read = readElfCore((offset, length) => bytes.subarray(offset, offset + length), 'core');
    expect(read.machine).toBe(62);
    expect(elfFlagsOf(read.header)).toBe(1);
    expect(read.programHeaders).toHaveLength(count);
    for (const i of new Set([0, 1, count - 1]))
      if (i >= 0 && i < count) expect(read.programHeaders[i]).toEqual(header(i));
  },
);

test('from 65535 program headers on, a section header says how many there are', () => {
  const few = core(0xfffe);
  expect(few.length).toBe(64 + 0xfffe * 56);
  expect([few.readUInt16LE(56), few.readUInt16LE(60), few.readBigUInt64LE(40)]).toEqual([0xfffe, 0, 0n]);
  const many = core(0xffff);
  expect(many.length).toBe(64 + 0xffff * 56 + 64);
  expect([many.readUInt16LE(56), many.readUInt16LE(58), many.readUInt16LE(60)]).toEqual([0xffff, 64, 1]);
  const section = Number(many.readBigUInt64LE(40));
  expect(section).toBe(64 + 0xffff * 56);
  // sh_size and sh_info.
  expect([many.readBigUInt64LE(section + 32), many.readUInt32LE(section + 44)]).toEqual([1n, 0xffff]);
});

test('a header is copied but for what is about the headers: sections of the input are not in the output', () => {
  const template = newElfHeader(183);
  template.fill(0x77, 7, 16);
  new DataView(template.buffer).setBigUint64(24, 0x1234n, true);
  new DataView(template.buffer).setBigUint64(32, 4096n, true);
  new DataView(template.buffer).setBigUint64(40, 8192n, true);
  new DataView(template.buffer).setUint16(58, 64, true);
  new DataView(template.buffer).setUint16(60, 5, true);
  const before = Buffer.from(template);
  const bytes = Buffer.from(encodeElfHeader(template, 3, 0).header);
  expect(Buffer.from(template).equals(before)).toBe(true);
  expect(bytes.subarray(0, 32).equals(before.subarray(0, 32))).toBe(true);
  expect([bytes.readBigUInt64LE(32), bytes.readBigUInt64LE(40)]).toEqual([64n, 0n]);
  expect([bytes.readUInt16LE(56), bytes.readUInt16LE(58), bytes.readUInt16LE(60)]).toEqual([3, 64, 0]);
});

test('e_flags are four bytes at 48', () => {
  const bytes = core(1);
  bytes.set(encodeElfFlags(0x8000_0001), 48);
  expect(elfFlagsOf(bytes)).toBe(0x8000_0001);
});

test('notes are padded to four bytes each and read back', () => {
  const bytes = Buffer.concat([
    encodeNote('ERASEINFO', 0, Buffer.from('erase x size 3\n')),
    encodeNote('CORE', 1, Buffer.alloc(8, 5)),
  ]);
  expect(bytes.length).toBe(12 + 12 + 16 + 12 + 8 + 8);
  expect(readNotes(bytes).map(({ name, type, description }) => [name, type, description.length])).toEqual([
    ['ERASEINFO', 0, 15],
    ['CORE', 1, 8],
  ]);
});
