import { type KernelCore, known } from './core.ts';
import { isMissing } from './memory.ts';

/** Slots of a node (XA_CHUNK_SIZE); a tree of 64-bit indices has eleven levels. */
const slotsOfNode = 64;
const slotShift = 6n;
const maxDepth = 11;

/**
 * Entries of an XArray, and of the radix trees and IDRs that it became, in ascending order of their indices
 * (include/linux/xarray.h). Pointers only; what cannot be read is passed over.
 * @param head the value of xa_head
 */
export function* xarrayEntries(
  core: KernelCore,
  head: bigint,
  limit = 2 ** 22,
): Generator<{ readonly index: bigint; readonly entry: bigint }> {
  const node = core.type('xa_node');
  const slots = node?.place('slots');
  const shift = node?.place('shift');
  if (slots === undefined || shift === undefined) return;
  let given = 0;
  const walk = function* (
    entry: bigint,
    index: bigint,
    depth: number,
  ): Generator<{ index: bigint; entry: bigint }> {
    if (entry === 0n || given >= limit) return;
    if (!isNode(entry)) {
      // Values and siblings of an entry that takes several slots have their low bits set.
      if ((entry & 3n) !== 0n) return;
      given++;
      yield { index, entry };
      return;
    }
    const address = entry - 2n;
    const bits = core.memory.read(address + BigInt(shift.offset), 1);
    if (depth === maxDepth || isMissing(bits)) return;
    for (let slot = 0; slot < slotsOfNode; slot++) {
      const next = known(core.u64(address + BigInt(slots.offset + 8 * slot)));
      if (next) yield* walk(next, index + (BigInt(slot) << BigInt(bits[0]!)), depth + 1);
    }
  };
  yield* walk(head, 0n, 0);
}

/** Internal entries end in binary 10; small ones are siblings and marks. */
const isNode = (entry: bigint): boolean => (entry & 3n) === 2n && entry > 4096n;

/** The entry at an index; undefined when there is none or it cannot be read. */
export function xarrayEntry(core: KernelCore, head: bigint, index: bigint): bigint | undefined {
  const node = core.type('xa_node');
  const slots = node?.place('slots');
  const shift = node?.place('shift');
  if (slots === undefined || shift === undefined) return undefined;
  let entry = head;
  for (let depth = 0; depth < maxDepth && isNode(entry); depth++) {
    const address = entry - 2n;
    const bits = core.memory.read(address + BigInt(shift.offset), 1);
    if (isMissing(bits)) return undefined;
    const level = BigInt(bits[0]!);
    // An index beyond what the root covers.
    if (depth === 0 && index >> (level + slotShift) !== 0n) return undefined;
    const slot = Number((index >> level) & 63n);
    const next = known(core.u64(address + BigInt(slots.offset + 8 * slot)));
    if (next === undefined) return undefined;
    entry = next;
    if (level === 0n) return isEntry(entry) ? entry : undefined;
  }
  return index === 0n && isEntry(entry) ? entry : undefined;
}

const isEntry = (entry: bigint): boolean => entry !== 0n && (entry & 3n) === 0n;
