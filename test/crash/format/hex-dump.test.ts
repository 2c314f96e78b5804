import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hexDump } from '../../../src/crash/format/hex-dump.ts';
import { missing } from '../../../src/kernel/memory.ts';

const hex = (at: bigint): string => at.toString(16);

test('every byte is shown once, whatever the width', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 8, maxLength: 80 }),
      fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const),
      (bytes, width) => {
        const count = Math.floor(bytes.length / width);
        const read = (at: bigint, length: number) => bytes.subarray(Number(at), Number(at) + length);
        const shown = [...hexDump(read, 0n, hex, { width, count, base: 'hex', ascii: false })]
          .flatMap((line) =>
            line
              .slice(line.indexOf(':') + 1)
              .trim()
              .split(' '),
          )
          .map((word) => Buffer.from(word, 'hex').reverse());
        expect(Buffer.concat(shown)).toEqual(Buffer.from(bytes.subarray(0, count * width)));
      },
    ),
  );
});

test('what is missing is said word by word', () => {
  const bytes = Buffer.from('Linux vernext pag');
  const read = (at: bigint, length: number) =>
    Number(at) + length > 8 ? missing('excluded', at) : bytes.subarray(Number(at), Number(at) + length);
  expect([...hexDump(read, 0n, hex, { width: 8, count: 2, base: 'hex', ascii: true })]).toEqual([
    '0:  6576 <excluded>'.replace('6576', Buffer.from('Linux ve').reverse().toString('hex')) +
      `${' '.repeat(9)}Linux ve????????`,
  ]);
});
