import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { btfKind } from '../../src/formats/btf.ts';
import { walkMapleTree } from '../../src/kernel/maple-tree.ts';
import { walkRbTree } from '../../src/kernel/rbtree.ts';
import { xarrayEntries, xarrayEntry } from '../../src/kernel/xarray.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeCore, words } from '../helpers/kernel.ts';
import { pieceMemory } from '../helpers/piece-memory.ts';

const start = 0xffff_8000_0000_0000n;

describe('xarray', () => {
  const nodeBytes = 16 + 64 * 8;
  const types = new BtfBuilder();
  const [byte, pointer] = [types.int('unsigned char', 1), types.int('unsigned long', 8)];
  types.struct('xa_node', nodeBytes, [
    ['shift', byte, 0],
    ['slots', types.array(pointer, 64), 128],
  ]);
  const node = (shift: number, slots: Readonly<Record<number, bigint>>): Buffer => {
    const bytes = Buffer.alloc(nodeBytes);
    bytes[0] = shift;
    for (const [slot, value] of Object.entries(slots)) bytes.writeBigUInt64LE(value, 16 + Number(slot) * 8);
    return bytes;
  };
  const inner = start + 1024n;

  test('entries of every level, without values, siblings and what cannot be read', () => {
    const core = fakeCore({
      pieces: [
        { vaddr: start, bytes: node(6, { 0: inner + 2n, 1: 0x10_0002n, 3: 0x4000n }) },
        { vaddr: inner, bytes: node(0, { 2: 0x1000n, 3: 0x15n, 63: 0x2000n }) },
      ],
      types,
    });
    expect([...xarrayEntries(core, start + 2n)]).toEqual([
      { index: 2n, entry: 0x1000n },
      { index: 63n, entry: 0x2000n },
      { index: 192n, entry: 0x4000n },
    ]);
    expect(xarrayEntry(core, start + 2n, 63n)).toBe(0x2000n);
    expect(xarrayEntry(core, start + 2n, 62n)).toBeUndefined();
    expect(xarrayEntry(core, start + 2n, 64n)).toBeUndefined();
    expect(xarrayEntry(core, start + 2n, 4096n)).toBeUndefined();
    expect([...xarrayEntries(core, 0x3000n)]).toEqual([{ index: 0n, entry: 0x3000n }]);
    expect(xarrayEntry(core, 0x3000n, 0n)).toBe(0x3000n);
    expect([...xarrayEntries(core, 0n)]).toEqual([]);
  });

  test('a node that holds itself ends', () => {
    const core = fakeCore({ pieces: [{ vaddr: start, bytes: node(6, { 0: start + 2n }) }], types });
    expect([...xarrayEntries(core, start + 2n)]).toEqual([]);
  });
});

describe('maple tree', () => {
  const types = new BtfBuilder();
  const long = types.int('unsigned long', 8);
  types.struct('maple_tree', 16, [['ma_root', types.link(btfKind.typedef, 'pointer', long), 64]]);
  types.struct('maple_range_64', 256, [
    ['pivot', types.array(long, 15), 64],
    ['slot', types.array(long, 16), 1024],
  ]);
  types.struct('maple_arange_64', 256, [
    ['pivot', types.array(long, 9), 64],
    ['slot', types.array(long, 10), 640],
  ]);
  /** @param pivots as many as the kind of node has */
  const node = (pivots: number, pairs: readonly (readonly [slot: bigint, pivot: bigint])[]): Buffer => {
    const [slots, ends] = [pairs.map(([slot]) => slot), pairs.map(([, pivot]) => pivot)];
    const fill = (values: readonly bigint[], length: number) => [
      ...values,
      ...Array(length - values.length).fill(0n),
    ];
    const bytes = words(0, ...fill(ends, pivots), ...fill(slots, pivots + 1));
    return Buffer.concat([bytes, Buffer.alloc(256 - bytes.length)]);
  };
  const [leaf, top] = [start + 0x1000n, start + 0x2000n];

  test('ranges of all leaves without gaps', () => {
    const core = fakeCore({
      pieces: [
        { vaddr: start, bytes: words(0, top | (3n << 3n) | 6n) },
        {
          vaddr: top,
          bytes: node(9, [
            [leaf | 8n | 6n, 0xfffn],
            [(leaf + 0x400n) | 8n | 6n, 0n],
          ]),
        },
        {
          vaddr: leaf,
          bytes: node(15, [
            [0n, 0xffn],
            [0x8000n, 0x1ffn],
            [0x9000n, 0xfffn],
          ]),
        },
      ],
      types,
    });
    const { ranges, missing } = walkMapleTree(core, start);
    expect(ranges).toEqual([
      { first: 0x100n, last: 0x1ffn, entry: 0x8000n },
      { first: 0x200n, last: 0xfffn, entry: 0x9000n },
    ]);
    expect(missing).toEqual([expect.objectContaining({ missing: 'unmapped' })]);
  });

  test('a tree of one entry, and an empty one', () => {
    const of = (root: bigint) =>
      walkMapleTree(fakeCore({ pieces: [{ vaddr: start, bytes: words(0, root) }], types }), start).ranges;
    expect(of(0x8000n)).toEqual([{ first: 0n, last: 0n, entry: 0x8000n }]);
    expect(of(0n)).toEqual([]);
  });
});

describe('red-black tree', () => {
  const at = (index: number): bigint => start + BigInt(32 + index * 24);
  const tree = (root: bigint, nodes: readonly (readonly [right: bigint, left: bigint])[]) => {
    const bytes = words(root, 0, 0, 0, ...nodes.flatMap(([right, left]) => [0n, right, left]));
    return walkRbTree(pieceMemory([{ vaddr: start, bytes }]), start);
  };

  test('nodes in their order; what is missing and what goes in a circle is said', () => {
    expect(
      tree(at(1), [
        [0n, 0n],
        [at(2), at(0)],
        [0n, 0n],
      ]),
    ).toEqual({
      nodes: [at(0), at(1), at(2)],
      missing: [],
      broken: false,
    });
    expect(tree(0n, [])).toEqual({ nodes: [], missing: [], broken: false });
    expect(tree(at(0), [[0x10n, 0n]])).toMatchObject({ nodes: [at(0)], missing: [{ missing: 'unmapped' }] });
    expect(
      tree(at(0), [
        [at(1), 0n],
        [at(0), 0n],
      ]),
    ).toMatchObject({ nodes: [at(0), at(1)], broken: true });
  });

  test('whatever the links are, the walk ends and gives no node twice', () => {
    const link = fc.integer({ min: -1, max: 9 }).map((index) => (index < 0 ? 0n : at(index)));
    fc.assert(
      fc.property(link, fc.array(fc.tuple(link, link), { minLength: 8, maxLength: 8 }), (root, nodes) => {
        const walk = tree(root, nodes);
        expect(new Set(walk.nodes).size).toBe(walk.nodes.length);
      }),
    );
  });
});
