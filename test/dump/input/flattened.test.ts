import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlattenedBytes } from '../../../src/dump/input/flattened.ts';
import { allBytes, flatten, memoryBytes } from '../../helpers/bytes.ts';

const records = fc.array(
  fc.record({ offset: fc.nat(300), bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }) }),
  { maxLength: 40 },
);

/** What writing the records to a file would leave there, and which bytes were written. */
function written(list: readonly { offset: number; bytes: Uint8Array }[]): { file: Buffer; held: Uint8Array } {
  const size = Math.max(0, ...list.map(({ offset, bytes }) => offset + bytes.length));
  const file = Buffer.alloc(size);
  const held = new Uint8Array(size);
  for (const { offset, bytes } of list) {
    file.set(bytes, offset);
    held.fill(1, offset, offset + bytes.length);
  }
  return { file, held };
}

describe('a flattened stream', () => {
  test('reads as the file that writing its records makes', () => {
    fc.assert(
      fc.property(records, (list) => {
        const source = new FlattenedBytes(memoryBytes(flatten(list)));
        const { file } = written(list);
        expect(source.size).toBe(file.length);
        expect(allBytes(source).equals(file)).toBe(true);
        expect(source.complete).toBe(true);
        expect(source.records).toBe(list.length);
      }),
      { numRuns: 500 },
    );
  });

  test('any range of it reads right, and tells whether it was written', () => {
    fc.assert(
      fc.property(records, fc.nat(400), fc.nat(100), (list, offset, length) => {
        const source = new FlattenedBytes(memoryBytes(flatten(list)));
        const { file, held } = written(list);
        const target = Buffer.alloc(length, 0xee);
        const got = source.readInto(offset, target);
        expect(target.subarray(0, got).equals(file.subarray(offset, offset + length))).toBe(true);
        const inside = [...held.subarray(offset, offset + length), 0];
        expect(source.held(offset, length)).toBe(inside.indexOf(0));
      }),
      { numRuns: 500 },
    );
  });

  test('overlapping records are counted', () => {
    const one = { offset: 10, bytes: Buffer.from('abcdef') };
    const apart = { offset: 16, bytes: Buffer.from('xy') };
    const over = { offset: 12, bytes: Buffer.from('ZZ') };
    expect(new FlattenedBytes(memoryBytes(flatten([one, apart]))).overlapping).toBe(0);
    const source = new FlattenedBytes(memoryBytes(flatten([one, apart, over])));
    expect(source.overlapping).toBe(1);
    expect(allBytes(source).toString('latin1', 10)).toBe('abZZefxy');
  });

  test('a view passes through where one record holds it', () => {
    const stream = flatten([
      { offset: 0, bytes: Buffer.from('abcd') },
      { offset: 4, bytes: Buffer.from('efgh') },
    ]);
    const mapped = { ...memoryBytes(stream), view: viewOf(stream) };
    const source = new FlattenedBytes(mapped);
    const view = source.view(5, 2)!;
    expect(view.bytes.toString('latin1', view.at, view.at + 2)).toBe('fg');
    expect(view.length).toBe(3);
    expect(source.view(3, 2)).toBeUndefined();
    expect(source.view(8, 1)).toBeUndefined();
  });
});

const viewOf = (bytes: Buffer) => (offset: number, length: number) =>
  offset + length > bytes.length
    ? undefined
    : { bytes, address: 4096, at: offset, length: bytes.length - offset };

describe('what is wrong with a stream is told', () => {
  const list = [
    { offset: 0, bytes: Buffer.from('header') },
    { offset: 6, bytes: Buffer.from('more data') },
  ];

  test('no terminator', () => {
    const source = new FlattenedBytes(memoryBytes(flatten(list, false)));
    expect(source.complete).toBe(false);
    expect(source.problems.join()).toMatch(/without its terminator/);
    expect(allBytes(source).toString()).toBe('headermore data');
  });

  test('a record cut short keeps what is there', () => {
    const stream = flatten(list, false);
    const source = new FlattenedBytes(memoryBytes(stream.subarray(0, -4)));
    expect(source.complete).toBe(false);
    expect(source.problems.join()).toMatch(/inside the record at 4118 of 9 bytes/);
    expect(allBytes(source).toString()).toBe('headermore ');
  });

  test('a damaged size ends it, a damaged offset loses its record only', () => {
    const stream = flatten(list);
    stream.writeBigInt64BE(0n, 4096 + 16 + 6 + 8);
    expect(new FlattenedBytes(memoryBytes(stream)).problems.join()).toMatch(/offset 6 and size 0/);
    const lost = flatten([{ offset: 2 ** 50, bytes: Buffer.from('x') }, ...list]);
    const source = new FlattenedBytes(memoryBytes(lost));
    expect(source.problems.join()).toMatch(/far beyond/);
    expect(allBytes(source).toString()).toBe('headermore data');
  });

  test('cut anywhere, it is the file as far as it goes', () => {
    fc.assert(
      fc.property(records, fc.nat(), (list, cut) => {
        const stream = flatten(list);
        const length = 32 + (cut % (stream.length - 32));
        const source = new FlattenedBytes(memoryBytes(stream.subarray(0, length)));
        expect(source.complete).toBe(false);
        expect(source.problems).toHaveLength(1);
      }),
    );
  });

  test('what is no flattened stream, or one of another kind, is refused', () => {
    expect(() => new FlattenedBytes(memoryBytes(Buffer.alloc(10)))).toThrow(/not a flattened dump/);
    const other = flatten([]);
    other.writeBigInt64BE(2n, 24);
    expect(() => new FlattenedBytes(memoryBytes(other))).toThrow(/type 1, version 2/);
  });
});
