import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  checkFlattenedHeader,
  decodeRecordHead,
  encodeFlattenedHeader,
  encodeRecordHead,
  encodeTerminator,
  flattenedHeaderSize,
  isFlattened,
  isRecord,
  isTerminator,
  recordHeadSize,
} from '../../src/formats/flattened.ts';
import type { KdumpError } from '../../src/lib/errors.ts';

const codeOf = (run: () => void): string | undefined => {
  try {
    run();
  } catch (error) {
    return (error as KdumpError).code;
  }
  return undefined;
};

test('the header is 4096 bytes: the name, then type and version as big-endian 64-bit numbers', () => {
  const header = encodeFlattenedHeader();
  expect(header.length).toBe(flattenedHeaderSize);
  expect(header.toString('latin1', 0, 32)).toBe(
    `makedumpfile\0\0\0\0${'\0'.repeat(7)}\x01${'\0'.repeat(7)}\x01`,
  );
  expect(header.subarray(32).every((byte) => byte === 0)).toBe(true);
  expect(isFlattened(header)).toBe(true);
  expect(codeOf(() => checkFlattenedHeader(header, 'x'))).toBeUndefined();
});

test('what is no stream, or one of another kind, is refused by name', () => {
  const elf = Buffer.from('\x7fELF\x02\x01\x01'.padEnd(64, '\0'), 'latin1');
  expect(() => checkFlattenedHeader(elf, 'standard input')).toThrow(
    'standard input: not a flattened dump: found 7f 45 4c 46 02 01 01 00',
  );
  expect(() => checkFlattenedHeader(Buffer.alloc(0), 'x')).toThrow('found nothing');
  expect(codeOf(() => checkFlattenedHeader(encodeFlattenedHeader().subarray(0, 31), 'x'))).toBe(
    'not-flattened',
  );
  const other = encodeFlattenedHeader();
  other[31] = 2;
  expect(() => checkFlattenedHeader(other, 'x')).toThrow('type 1, version 2');
  expect(codeOf(() => checkFlattenedHeader(other, 'x'))).toBe('unsupported-flattened');
});

test('a record head reads back as it was written, for every offset and size that a file can have', () => {
  const number = fc.maxSafeNat();
  fc.assert(
    fc.property(number, number, fc.nat(9), (offset, size, at) => {
      const bytes = Buffer.alloc(recordHeadSize + 9, 0xaa);
      encodeRecordHead(bytes, at, offset, size);
      expect(decodeRecordHead(bytes, at)).toEqual({ offset, size });
    }),
  );
});

test('only (-1, -1) ends a stream, and a record has a place and some bytes', () => {
  const end = decodeRecordHead(encodeTerminator(), 0);
  expect([isTerminator(end), isRecord(end)]).toEqual([true, false]);
  expect(isTerminator({ offset: -1, size: 0 })).toBe(false);
  expect(isRecord({ offset: 0, size: 0 })).toBe(false);
  expect(isRecord({ offset: -1, size: 1 })).toBe(false);
  expect(isRecord({ offset: 2 ** 53 - 1, size: 2 })).toBe(false);
  expect(isRecord({ offset: 0, size: 1 })).toBe(true);
});
