import fc from 'fast-check';
import { expect, test } from 'vitest';
import { walkList } from '../../src/kernel/list.ts';
import { words } from '../helpers/kernel.ts';
import { pieceMemory } from '../helpers/piece-memory.ts';

const start = 0xffff_8000_0000_0000n;
const at = (index: number): bigint => start + BigInt(index * 16);

/** A list of `length` entries in order, its head first. */
function links(length: number): [next: bigint, previous: bigint][] {
  const all = length + 1;
  return Array.from({ length: all }, (_, i) => [at((i + 1) % all), at((i + all - 1) % all)]);
}
const walk = (list: readonly (readonly [bigint, bigint])[], limit?: number) =>
  walkList(pieceMemory([{ vaddr: start, bytes: words(...list.flat()) }]), start, limit);

test('a list from its front to its end', () => {
  expect(walk(links(3))).toEqual({ entries: [at(1), at(2), at(3)], damage: undefined });
  expect(walk(links(0))).toEqual({ entries: [], damage: undefined });
});

test('a link that leads nowhere: the rest comes from the other end', () => {
  const list = links(5);
  list[2] = [0x10n, list[2]![1]];
  expect(walk(list)).toEqual({
    entries: [at(1), at(2), at(3), at(4), at(5)],
    damage: { reason: 'missing', address: at(2), missing: { missing: 'unmapped', address: '0x10' } },
  });
});

test('a link into the middle of something else is no entry', () => {
  const list = links(4);
  list[1] = [at(3) + 8n, list[1]![1]];
  const { entries, damage } = walk(list);
  expect(damage).toMatchObject({ reason: 'broken' });
  expect(entries).toEqual([at(1), at(2), at(3), at(4)]);
});

test('a circle without the head, and a list longer than the limit', () => {
  const list = links(3);
  list[3] = [at(1), at(2)];
  expect(walk(list).damage?.reason).toBe('cycle');
  expect(walk(links(9), 4).damage).toEqual({ reason: 'too-long', address: at(5) });
});

test('whatever the links are, the walk ends and gives no entry twice', () => {
  const link = fc.integer({ min: 0, max: 12 }).map(at);
  fc.assert(
    fc.property(fc.array(fc.tuple(link, link), { minLength: 10, maxLength: 10 }), (list) => {
      const { entries } = walk(list);
      expect(new Set(entries).size).toBe(entries.length);
      expect(entries.length).toBeLessThan(13);
    }),
  );
});
