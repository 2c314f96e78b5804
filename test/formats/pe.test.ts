import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPe, isPeSigned, readPeSections } from '../../src/formats/pe.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { buildPe, sectionTableAt } from '../helpers/uki.ts';

const sections = [
  { name: '.osrel', content: 'ID=test\n' },
  { name: '.cmdline', content: 'quiet' },
  { name: '.linux', content: Buffer.alloc(5000, 'k') },
];
const read = (file: Uint8Array) =>
  readPeSections((offset, length) => file.subarray(offset, offset + length), file.length, 'x.efi');
/** A field of a section's header, as one of the file's. */
const field = (section: number, offset: number): number => sectionTableAt + section * 40 + offset;
const withU32 = (file: Uint8Array, at: number, value: number): Uint8Array => {
  const copy = Uint8Array.from(file);
  new DataView(copy.buffer).setUint32(at, value, true);
  return copy;
};
const VIRTUAL_SIZE = 8;
const RAW_SIZE = 16;
const RAW_AT = 20;

describe('readPeSections', () => {
  const file = buildPe(sections);

  test('knows the names in full and the content without padding', () => {
    const found = read(file);
    expect(found.map(({ name, size }) => [name, size])).toEqual([
      ['.osrel', 8],
      ['.cmdline', 5],
      ['.linux', 5000],
    ]);
    const { offset, size } = found[1]!;
    expect(Buffer.from(file.subarray(offset, offset + size)).toString()).toBe('quiet');
  });

  test('takes the smaller of both sizes, and the one there is', () => {
    const sizeWith = (at: number, value: number): number => read(withU32(file, field(2, at), value))[2]!.size;
    expect(sizeWith(VIRTUAL_SIZE, 0x10000)).toBe(5120);
    expect(sizeWith(VIRTUAL_SIZE, 100)).toBe(100);
    expect(sizeWith(VIRTUAL_SIZE, 0)).toBe(5120);
    expect(sizeWith(RAW_SIZE, 0)).toBe(0);
  });

  test('says which header is wrong', () => {
    const at = `0x${field(2, 0).toString(16)}`;
    expect(() => read(withU32(file, field(2, RAW_AT), file.length - 4999))).toThrow(
      new RegExp(`^x\\.efi: section \\.linux, whose header is at offset ${at}, would lie at 0x`),
    );
    expect(() => read(withU32(file, field(2, RAW_AT), file.length - 5000))).not.toThrow();
    expect(() => read(withU32(file, 0x3c, 0xffff_fff0))).toThrow(
      /the PE header, named at 0x3c, at offset 0xfffffff0 needs 24 bytes, the file ends at/,
    );
    expect(() => read(withU32(file, 0x80, 0x12345678))).toThrow(
      /expected "PE" at offset 0x80, found 0x12345678/,
    );
    expect(() => read(withU32(file, 0x84, 0xffff8664))).toThrow(/the section table at offset 0x188 needs/);
    expect(() => read(file.subarray(0, 10))).toThrow(/the DOS header at offset 0x0 needs 64 bytes/);
    expect(() => read(Buffer.alloc(100))).toThrow(/expected "MZ"/);
  });

  test('an empty section lies nowhere', () => {
    const empty = withU32(withU32(file, field(1, RAW_SIZE), 0), field(1, RAW_AT), 0xffff_ffff);
    expect(read(empty)[1]).toMatchObject({ name: '.cmdline', size: 0 });
  });

  test('any change of the headers gives sections within the file, or a KdumpError', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sectionTableAt + 3 * 40), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(file.length),
        (edits, length) => {
          const damaged = Uint8Array.from(file);
          for (const [at, byte] of edits) damaged[at] = byte;
          const cut = damaged.subarray(0, length);
          try {
            isPe(cut);
            isPeSigned(cut);
            for (const { name, offset, size } of read(cut)) {
              expect(name).toMatch(/^[\x21-\x7e]{0,8}$/);
              if (size > 0) expect(offset + size).toBeLessThanOrEqual(length);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(KdumpError);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

test('isPe wants both magics', () => {
  const file = buildPe(sections);
  expect(isPe(file)).toBe(true);
  expect(isPe(file.subarray(0, 0x90))).toBe(false);
  expect(isPe(withU32(file, 0, 0))).toBe(false);
  expect(isPe(withU32(file, 0x80, 0))).toBe(false);
  expect(isPe(withU32(file, 0x3c, 0xffff_ffff))).toBe(false);
  expect(isPe(new Uint8Array(0))).toBe(false);
});

test('isPeSigned finds the certificate table of PE32+ and PE32', () => {
  const signed = buildPe(sections, { signed: true });
  expect(isPeSigned(buildPe(sections))).toBe(false);
  expect(isPeSigned(signed)).toBe(true);
  expect(isPeSigned(signed.subarray(0, 0x98 + 112 + 4 * 8 + 7))).toBe(false);
  const pe32 = buildPe(sections);
  const view = new DataView(pe32.buffer);
  view.setUint16(0x98, 0x10b, true);
  expect(isPeSigned(pe32)).toBe(false);
  view.setUint32(0x98 + 96 + 4 * 8, 4096, true);
  view.setUint32(0x98 + 96 + 4 * 8 + 4, 8, true);
  expect(isPeSigned(pe32)).toBe(true);
});
