import { known } from './core.ts';
import { globalNumber } from './counters.ts';
import type { Kernel } from './kernel.ts';
import type { KernelObject } from './object.ts';

/** Somewhere that pages are swapped out to. */
export type SwapArea = {
  /** Its struct swap_info_struct. */
  readonly object: KernelObject;
  /** Pages that it has, and that are used. */
  readonly pages: number;
  readonly used: number;
  readonly priority: number;
  readonly file: KernelObject | undefined;
};

const mostAreas = 32;
/** SWP_USED. */
const inUse = 1n;

/** Swap files and partitions that are on. */
export function swapAreas(kernel: Kernel): SwapArea[] {
  const table = kernel.core.address('swap_info');
  const count = Math.min(Number(globalNumber(kernel, 'nr_swapfiles', 4) ?? 0n), mostAreas);
  if (table === undefined) return [];
  return Array.from({ length: count }, (_, i) => known(kernel.core.u64(table + BigInt(8 * i)))).flatMap(
    (address) => {
      if (!address) return [];
      const object = kernel.object('swap_info_struct', address);
      const flags = known(object.member('flags').integer()) ?? 0n;
      if ((flags & inUse) === 0n) return [];
      return {
        object,
        pages: known(object.member('pages').number()) ?? 0,
        used: known(object.member('inuse_pages.counter', 'inuse_pages').number()) ?? 0,
        priority: known(object.member('prio').number()) ?? 0,
        file: known(object.member('swap_file').deref()),
      };
    },
  );
}
