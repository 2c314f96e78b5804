import { expect, test } from 'vitest';
import { findMultiboot } from '../../src/formats/multiboot.ts';

const put = (size: number, at: number, words: readonly number[]): Uint8Array => {
  const head = new Uint8Array(size);
  const view = new DataView(head.buffer);
  for (const [index, word] of words.entries()) view.setUint32(at + 4 * index, word >>> 0, true);
  return head;
};
const first = [0x1badb002, 3, -(0x1badb002 + 3)];
const second = [0xe85250d6, 0, 24, -(0xe85250d6 + 24)];

test('is found by its magic and its checksum, where the specification allows it', () => {
  expect(findMultiboot(put(9000, 4100, first))).toEqual({ version: 1, offset: 4100 });
  expect(findMultiboot(put(40000, 32744, second))).toEqual({ version: 2, offset: 32744 });
  expect(findMultiboot(put(4112, 4100, first))).toEqual({ version: 1, offset: 4100 });
});

test('is not seen elsewhere, cut off or without its checksum', () => {
  expect(findMultiboot(put(9000, 8184, first))).toBeNull();
  expect(findMultiboot(put(9000, 4102, first))).toBeNull();
  expect(findMultiboot(put(9000, 4100, second))).toBeNull();
  expect(findMultiboot(put(9000, 4100, [0x1badb002, 3, 5]))).toBeNull();
  expect(findMultiboot(put(4112, 4100, first).subarray(0, 4110))).toBeNull();
  expect(findMultiboot(new Uint8Array(0))).toBeNull();
});
