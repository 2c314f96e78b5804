import type { ByteSource } from '../../src/dump/input/bytes.ts';

/** Half-open range of a file, bytes. */
export type Region = { readonly start: number; readonly end: number };

/** A pseudo-random sequence that a seed gives again (mulberry32): integers from 0 to below `bound`. */
export function random(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return Math.floor((((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

/** What is done to a file: bytes that are overwritten, and where it ends. */
export type Mutation = {
  readonly kind: (typeof kinds)[number];
  readonly size: number;
  readonly edits: readonly { readonly offset: number; readonly bytes: Buffer }[];
};

const kinds = ['bits', 'bytes', 'extreme', 'truncate', 'swap', 'zero'] as const;

/** Numbers at the edges of what a field can hold, and of what a reader may take. */
const extremes: readonly bigint[] = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  2n ** 40n,
  2n ** 52n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/**
 * The mutation of a seed, always the same.
 * @param regions where it may hit, each as likely as the others, whatever its size
 */
export function mutationOf(seed: number, file: ByteSource, regions: readonly Region[]): Mutation {
  const next = random(seed);
  const kind = kinds[next(kinds.length)]!;
  const place = (length: number, align = 1): number => {
    const { start, end } = regions[next(regions.length)]!;
    const room = Math.max(1, Math.floor((end - length - start) / align));
    return Math.max(0, Math.min(file.size - length, start + next(room) * align));
  };
  const original = (offset: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, file.readInto(offset, bytes));
  };
  const edits: { offset: number; bytes: Buffer }[] = [];
  let { size } = file;
  switch (kind) {
    case 'bits':
      for (let n = 1 + next(8); n > 0; n--) {
        const offset = place(1);
        const bytes = original(offset, 1);
        bytes[0]! ^= 1 << next(8);
        edits.push({ offset, bytes });
      }
      break;
    case 'bytes':
      for (let n = 1 + next(4); n > 0; n--) {
        const bytes = Buffer.from(Array.from({ length: 1 + next(16) }, () => next(256)));
        edits.push({ offset: place(bytes.length), bytes });
      }
      break;
    case 'extreme':
      for (let n = 1 + next(2); n > 0; n--) {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64LE(extremes[next(extremes.length)]!);
        const width = [2, 4, 8][next(3)]!;
        const field =
          next(4) === 0
            ? Buffer.from(bytes)
                .reverse()
                .subarray(8 - width)
            : bytes.subarray(0, width);
        edits.push({ offset: place(width, width), bytes: field });
      }
      break;
    case 'truncate':
      size = next(2) === 0 ? next(file.size) : place(1);
      break;
    case 'swap': {
      const length = 1 + next(64);
      const [a, b] = [place(length), place(length)];
      edits.push({ offset: a, bytes: original(b, length) }, { offset: b, bytes: original(a, length) });
      break;
    }
    case 'zero':
      edits.push({ offset: place(64), bytes: Buffer.alloc(1 + next(next(4) === 0 ? 65536 : 64)) });
      break;
  }
  return { kind, size, edits };
}

/** A file as a mutation leaves it; nothing is copied. */
export function mutated(file: ByteSource, { size, edits }: Mutation): ByteSource {
  return {
    path: file.path,
    size,
    readInto(offset, target) {
      const wanted = target.subarray(0, Math.max(0, Math.min(target.length, size - offset)));
      const got = file.readInto(offset, wanted);
      for (const edit of edits) {
        const from = Math.max(offset, edit.offset);
        const to = Math.min(offset + got, edit.offset + edit.bytes.length);
        if (from < to) target.set(edit.bytes.subarray(from - edit.offset, to - edit.offset), from - offset);
      }
      return got;
    },
    view: () => undefined,
    close() {},
  };
}
