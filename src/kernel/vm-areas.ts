import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { walkMapleTree } from './maple-tree.ts';
import type { KernelObject } from './object.ts';

const mostAreas = 2 ** 18;

/** Areas of a process's memory in ascending order: a maple tree since 6.1, before that a list. */
export function vmAreas(
  kernel: Kernel,
  mm: KernelObject,
): { readonly areas: readonly KernelObject[]; readonly whole: boolean } {
  const tree = mm.find('mm_mt');
  if (tree !== undefined) {
    const { ranges, missing } = walkMapleTree(kernel.core, tree.address);
    return {
      areas: ranges.map(({ entry }) => kernel.object('vm_area_struct', entry)),
      whole: missing.length === 0,
    };
  }
  const areas: KernelObject[] = [];
  const seen = new Set<bigint>();
  let at = known(mm.member('mmap').integer());
  while (at && !seen.has(at) && areas.length < mostAreas) {
    seen.add(at);
    const area = kernel.object('vm_area_struct', at);
    areas.push(area);
    at = known(area.member('vm_next').integer());
  }
  return { areas, whole: at === 0n };
}
