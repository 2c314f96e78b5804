import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KdumpError } from '../../src/lib/errors.ts';
import { parseSize } from '../../src/lib/size.ts';

test.each([
  ['1', 1],
  ['4096', 4096],
  ['1K', 1024],
  ['1k', 1024],
  ['3M', 3 * 2 ** 20],
  ['2g', 2 ** 31],
  ['5T', 5 * 2 ** 40],
  ['1P', 2 ** 50],
  ['0x10', 16],
  ['0X1fk', 31 * 1024],
  // Hexadecimal digits go first, as in strtoull: this E is no suffix.
  ['0x1E', 30],
  ['010', 8],
  ['010M', 8 * 2 ** 20],
  [' 7', 7],
  ['+7', 7],
  ['1E', 2 ** 53 - 1],
  ['0xffffffffffffffff', 2 ** 53 - 1],
])('%j is %d bytes', (text, bytes) => {
  expect(parseSize(text, '-L')).toBe(bytes);
});

test.each([
  '',
  '0',
  '0K',
  '00',
  '-1',
  'K',
  '1KB',
  '1 K',
  '1.5G',
  '08',
  '0x',
  '0xg',
  '1e3',
  '16E',
  '1Z',
  '1K ',
])('%j is refused', (text) => {
  let error: KdumpError | undefined;
  try {
    parseSize(text, '-L');
  } catch (thrown) {
    error = thrown as KdumpError;
  }
  expect(error?.code).toBe('usage');
  expect(error?.message).toContain("option '-L'");
  expect(error?.message).toContain(`'${text}'`);
});

test('decimal, octal and hexadecimal spellings of a number are the same size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 43 - 1 }), fc.constantFrom('', 'K'), (n, suffix) => {
      const expected = suffix === 'K' ? n * 1024 : n;
      for (const digits of [n.toString(), `0${n.toString(8)}`, `0x${n.toString(16)}`])
        expect(parseSize(`${digits}${suffix}`, 'x')).toBe(expected);
    }),
  );
});
