import fc from 'fast-check';
import { expect, test } from 'vitest';
import { search } from '../../../src/crash/commands/search.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const memory = Buffer.alloc(0x3000);
memory.writeBigUInt64LE(0xdeadbeefn, 0x1008);
memory.writeUInt32LE(0xdeadbeef, 0x2004);
memory.write('some text over a page', 0x1ff8, 'latin1');
const physical = sessionOf({}, memory);

test('words of every width, under a mask', () => {
  expect(linesOf(physical, search, '-p -s 0 -e 3000 deadbeef')).toEqual(['1008: deadbeef']);
  expect(linesOf(physical, search, '-p -s 0 -e 3000 -w deadbeef')).toEqual(['1008: deadbeef']);
  expect(linesOf(physical, search, '-p -s 0 -l 3000 -m ffff dead0000')).toEqual(['1008: deadbeef']);
  expect(linesOf(physical, search, '-p -s 0 -e 1000 deadbeef')).toEqual([]);
});

test('every word that is equal under the mask is found, whatever its width', () => {
  // Few values, so that words are equal more often than by chance.
  const bytes = fc.array(fc.constantFrom(0, 1, 0x80, 0xff), { minLength: 64, maxLength: 67 });
  const value = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const width = fc.constantFrom(['', 8] as const, ['-w', 4] as const, ['-h', 2] as const);
  fc.assert(
    fc.property(bytes, value, value, fc.boolean(), fc.nat(), width, (data, other, mask, exact, at, width) => {
      const [option, size] = width;
      const memory = Buffer.from(data);
      const words = Array.from({ length: Math.floor(memory.length / size) }, (_, i) =>
        [...memory.subarray(i * size, (i + 1) * size)].reduceRight(
          (word, byte) => (word << 8n) | BigInt(byte),
          0n,
        ),
      );
      const wanted = exact ? words[at % words.length]! : other;
      const keep = exact ? -1n : ~mask;
      const found = linesOf(
        sessionOf({}, memory),
        search,
        `-p -s 0 -e ${memory.length.toString(16)} ${option} ${exact ? '' : `-m ${mask.toString(16)}`} ${wanted.toString(16)}`,
      );
      const limit = (1n << BigInt(size * 8)) - 1n;
      const expected = words.flatMap((word, i) =>
        (word & keep & limit) === (wanted & keep & limit)
          ? [`${(i * size).toString(16)}: ${word.toString(16)}`]
          : [],
      );
      expect(found).toEqual(expected);
    }),
  );
});

test('text, from one page into the next', () => {
  const [found] = linesOf(physical, search, '-p -s 0 -e 3000 -c over');
  expect(found).toMatch(/^2002: over a page\.+$/);
});

test('a page that is missing is passed over', () => {
  expect(linesOf(physical, search, '-p -s 0 -e 9000 deadbeef')).toEqual(['1008: deadbeef']);
});

test('what is no value is an error', () => {
  expect(() => linesOf(physical, search, '-p')).toThrow('a value is expected');
  expect(() => linesOf(physical, search, '-p xyz')).toThrow('xyz is no hexadecimal value');
});
