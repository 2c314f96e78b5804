import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FileBlocks } from '../../../src/dump/input/file-blocks.ts';

const file = Buffer.from(Uint8Array.from({ length: 70 * 4096 + 100 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

function blocks() {
  const reads: number[] = [];
  const read = (offset: number, target: Uint8Array): number => {
    reads.push(offset);
    return file.copy(target, 0, offset);
  };
  return { blocks: new FileBlocks(read), reads };
}

test('bytes are those of the file, whatever was read before', () => {
  const places = fc.array(fc.tuple(fc.nat(file.length), fc.nat(40)), { maxLength: 40 });
  fc.assert(
    fc.property(places, (wanted) => {
      const own = blocks();
      for (const [offset, length] of wanted) {
        const target = Buffer.alloc(length, 0xee);
        const block = Math.floor(offset / 4096);
        const isServed = offset + length <= 4096 * Math.min(block + 1, 70);
        expect(own.blocks.readInto(offset, target)).toBe(isServed);
        if (isServed) expect(target.equals(file.subarray(offset, offset + length))).toBe(true);
      }
    }),
  );
});

test('a block is read once, and again after another one took its place', () => {
  const { blocks: own, reads } = blocks();
  const word = Buffer.alloc(8);
  for (const offset of [8, 4000, 4096, 16, 64 * 4096, 24]) own.readInto(offset, word);
  expect(reads).toEqual([0, 4096, 64 * 4096, 0]);
});
