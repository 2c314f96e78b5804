/** Half-open range of whole numbers (addresses, offsets): `end` is the first one behind it. */
export type Range = { readonly start: number; readonly end: number };

/**
 * Sets of numbers as lists of ranges. Every function takes ranges in any order, overlapping or empty, and answers in
 * normal form: ascending, none empty, none that touch.
 */

/** The same set of numbers in normal form. */
export function normalize(ranges: readonly Range[]): Range[] {
  const result: { start: number; end: number }[] = [];
  for (const { start, end } of ranges.toSorted((a, b) => a.start - b.start)) {
    if (end <= start) continue;
    const last = result.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}

/** What is in either. */
export function union(a: readonly Range[], b: readonly Range[]): Range[] {
  return normalize([...a, ...b]);
}

/** What is in both. */
export function intersect(a: readonly Range[], b: readonly Range[]): Range[] {
  const [left, right] = [normalize(a), normalize(b)];
  const result: Range[] = [];
  for (let i = 0, j = 0; i < left.length && j < right.length; ) {
    const start = Math.max(left[i]!.start, right[j]!.start);
    const end = Math.min(left[i]!.end, right[j]!.end);
    if (start < end) result.push({ start, end });
    // The one that ends first meets nothing more.
    if (left[i]!.end < right[j]!.end) i++;
    else j++;
  }
  return result;
}

/** What is in `a` and not in `b`. */
export function subtract(a: readonly Range[], b: readonly Range[]): Range[] {
  return intersect(a, complement(b));
}

/** How many numbers there are in all, each counted once. */
export function totalLength(ranges: readonly Range[]): number {
  return normalize(ranges).reduce((sum, { start, end }) => sum + end - start, 0);
}

/** The largest multiple of `alignment` that is not above `value`; neither is negative. */
export function alignDown(value: number, alignment: number): number {
  return value - (value % alignment);
}

/** The smallest multiple of `alignment` that is not below `value`; neither is negative. */
export function alignUp(value: number, alignment: number): number {
  return alignDown(value + alignment - 1, alignment);
}

/** Every number that is in none of the ranges. */
function complement(ranges: readonly Range[]): Range[] {
  const sorted = normalize(ranges);
  const ends = [Number.NEGATIVE_INFINITY, ...sorted.map(({ end }) => end)];
  const starts = [...sorted.map(({ start }) => start), Number.POSITIVE_INFINITY];
  return ends.map((end, i) => ({ start: end, end: starts[i]! }));
}
