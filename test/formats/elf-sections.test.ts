import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readElfSections, sectionBytes, stringAt } from '../../src/formats/elf-sections.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { fixturePath, inflate, readerOf } from '../helpers/vmlinux.ts';

const plain = readFileSync(fixturePath('dwarf5'));
const packed = readFileSync(fixturePath('dwarf5-zlib'));
const sectionsOf = (bytes: Uint8Array) => readElfSections(readerOf(bytes), bytes.length, 'file').sections;
const find = (bytes: Uint8Array, name: string) => sectionsOf(bytes).find((each) => each.name === name)!;
const codeOf = (action: () => unknown): string => {
  try {
    action();
    return 'no error';
  } catch (error) {
    return (error as KdumpError).code;
  }
};

describe('section headers', () => {
  test('names, addresses and what has content', () => {
    const text = find(plain, '.text');
    expect(text.address).toBeGreaterThan(0xffff_ffff_8100_0000n);
    expect(text.hasContent).toBe(true);
    expect(find(plain, '.bss').hasContent).toBe(false);
    expect(find(plain, '.bss').size).toBeGreaterThan(0);
  });

  test.each([
    ['a file that is no ELF', Buffer.from('hello, this is text and nothing else at all'), 'not-elf'],
    ['an empty file', Buffer.alloc(0), 'not-elf'],
    ['a file that ends in its header', plain.subarray(0, 40), 'truncated'],
    ['a file that ends before its section headers', plain.subarray(0, plain.length - 100), 'truncated'],
  ])('%s is refused', (_, bytes, code) => {
    expect(codeOf(() => sectionsOf(bytes))).toBe(code);
  });

  test('32-bit and big-endian files are refused', () => {
    for (const [at, value] of [
      [4, 1],
      [5, 2],
    ] as const) {
      const bytes = Buffer.from(plain);
      bytes[at] = value;
      expect(codeOf(() => sectionsOf(bytes))).toBe('unsupported-elf');
    }
  });

  test('a section beyond the end of the file is named', () => {
    const bytes = Buffer.from(plain);
    const headers = Number(bytes.readBigUInt64LE(40));
    bytes.writeBigUInt64LE(2n ** 40n, headers + 2 * 64 + 32);
    expect(() => sectionsOf(bytes)).toThrow(/file: section 2 covers file offsets .* the file ends at/);
  });

  test('a count of sections that the file cannot hold allocates nothing', () => {
    const bytes = Buffer.from(plain);
    bytes.writeUInt16LE(0, 60);
    bytes.writeBigUInt64LE(2n ** 50n, Number(bytes.readBigUInt64LE(40)) + 32);
    expect(codeOf(() => sectionsOf(bytes))).toBe('truncated');
  });

  test('damaged headers give an error or sections within the file', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(plain.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
        (changes) => {
          const bytes = Buffer.from(plain);
          for (const [at, value] of changes) bytes[at] = value;
          try {
            for (const section of sectionsOf(bytes)) {
              if (section.hasContent) expect(section.offset + section.size).toBeLessThanOrEqual(bytes.length);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(KdumpError);
          }
        },
      ),
    );
  });
});

describe('content', () => {
  test('is read within the section only', () => {
    const section = find(plain, '.debug_str');
    const bytes = sectionBytes(readerOf(plain), section, 'file', undefined);
    expect(bytes.size).toBe(section.size);
    expect(bytes.read(0, 1e9).length).toBe(section.size);
    expect(bytes.read(section.size + 5, 10).length).toBe(0);
  });

  test('is unpacked when it is compressed', () => {
    const section = find(packed, '.debug_info');
    const bytes = sectionBytes(readerOf(packed), section, 'file', inflate);
    expect(bytes.size).toBeGreaterThan(section.size);
    // The same sources: the same information, whose unit begins with its length.
    expect(bytes.size).toBe(find(plain, '.debug_info').size);
    expect(Buffer.from(bytes.read(4, 2))).toEqual(Buffer.from([5, 0]));
  });

  test('compressed without a decompressor, or of an unknown kind, is refused with a way out', () => {
    const section = find(packed, '.debug_info');
    expect(() => sectionBytes(readerOf(packed), section, 'file', undefined)).toThrow(
      /section \.debug_info is compressed \(zlib\)/,
    );
    const odd = Buffer.from(packed);
    odd.writeUInt32LE(77, section.offset);
    expect(() => sectionBytes(readerOf(odd), section, 'file', inflate)).toThrow(/ch_type 77/);
  });

  test('a compressed section that lies about its size is refused', () => {
    const section = find(packed, '.debug_info');
    const huge = Buffer.from(packed);
    huge.writeBigUInt64LE(2n ** 45n, section.offset + 8);
    expect(codeOf(() => sectionBytes(readerOf(huge), section, 'file', inflate))).toBe('compressed-section');
    const wrong = Buffer.from(packed);
    wrong.writeBigUInt64LE(100n, section.offset + 8);
    const bytes = sectionBytes(readerOf(wrong), section, 'file', inflate);
    expect(codeOf(() => bytes.read(0, 4))).toBe('compressed-section');
  });
});

test('strings end at a NUL or with the table', () => {
  const table = Buffer.from('\0one\0two', 'latin1');
  expect([0, 1, 2, 5, 9].map((at) => stringAt(table, at))).toEqual(['', 'one', 'ne', 'two', '']);
});
