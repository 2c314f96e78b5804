import { isMissing, type Missing, u64At, type VirtualMemory } from './memory.ts';

/** What is wrong with a list. What could be reached is in the result all the same. */
export type ListDamage = {
  readonly reason: /** It comes back to an entry that is not its head. */
    | 'cycle'
    /** A link leads to what is not there. */
    | 'missing'
    /** An entry does not know the one before it. */
    | 'broken'
    /** Longer than anybody would believe. */
    | 'too-long';
  /** The list_head at which it was noticed. */
  readonly address: bigint;
  readonly missing?: Missing;
};

export type ListWalk = {
  /** Addresses of the list_heads in the entries, first from the front, then what only the way from the back reached. */
  readonly entries: readonly bigint[];
  readonly damage: ListDamage | undefined;
};

const mostEntries = 2 ** 22;

/**
 * Walks a circular struct list_head (include/linux/list.h). A list that is damaged is also walked from its other end.
 * @param head the list_head that is no entry
 */
export function walkList(memory: VirtualMemory, head: bigint, limit = mostEntries): ListWalk {
  const forward = oneWay(memory, head, 'next', limit);
  if (forward.damage === undefined) return forward;
  const seen = new Set(forward.entries);
  const backward = oneWay(memory, head, 'previous', limit).entries.filter((entry) => !seen.has(entry));
  return { entries: [...forward.entries, ...backward.reverse()], damage: forward.damage };
}

function oneWay(memory: VirtualMemory, head: bigint, way: 'next' | 'previous', limit: number): ListWalk {
  const entries: bigint[] = [];
  const seen = new Set<bigint>([head]);
  const [on, back] = way === 'next' ? [0, 8] : [8, 0];
  for (let at = head, before: bigint | undefined; ; ) {
    const links = memory.read(at, 16);
    if (isMissing(links)) {
      if (entries.at(-1) === at) entries.pop();
      return { entries, damage: { reason: 'missing', address: before ?? at, missing: links } };
    }
    if (before !== undefined && u64At(links, back) !== before) {
      // Either link may be the wrong one; when it is an entry, the way from the other end leads to it.
      entries.pop();
      return { entries, damage: { reason: 'broken', address: at } };
    }
    const next = u64At(links, on);
    if (next === head) return { entries, damage: undefined };
    if (seen.has(next)) return { entries, damage: { reason: 'cycle', address: next } };
    if (entries.length === limit) return { entries, damage: { reason: 'too-long', address: next } };
    seen.add(next);
    entries.push(next);
    before = at;
    at = next;
  }
}
