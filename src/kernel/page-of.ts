import { globalNumber } from './counters.ts';
import type { Kernel } from './kernel.ts';
import { isMissing, type Missing } from './memory.ts';
import type { KernelObject } from './object.ts';

const pageShift = 12n;

/** Where all physical memory is mapped one to one. */
export function directMapStart({ regions }: Kernel): bigint {
  return regions.directMap.start;
}

/** Where the page descriptors are mapped as one array. */
export function vmemmapStart({ regions }: Kernel): bigint {
  return regions.vmemmap;
}

/** Page frames that there may be: the highest one plus one; undefined when the dump does not tell. */
export function pageFrames(kernel: Kernel): number | undefined {
  const frames = globalNumber(kernel, 'max_pfn');
  return frames === undefined ? undefined : Number(frames);
}

/** The struct page of a physical address. @throws KdumpError `no-type` */
export function pageOf(kernel: Kernel, physical: number): KernelObject {
  const type = kernel.core.object('page', 0n).type;
  const pfn = BigInt(physical) >> pageShift;
  return kernel.object(type, vmemmapStart(kernel) + pfn * BigInt(type.size));
}

/** Physical address of what a struct page describes; undefined when the address is none. */
export function physicalOfPage(kernel: Kernel, page: bigint): bigint | undefined {
  const size = BigInt(kernel.core.object('page', 0n).type.size);
  const distance = page - vmemmapStart(kernel);
  return distance < 0n || distance % size !== 0n || distance / size > (pageFrames(kernel) ?? 2 ** 34)
    ? undefined
    : (distance / size) << pageShift;
}

/** Masks are ones but for a few bits at their end; no page descriptor lies that high. */
const firstMask = 0xffff_ffff_0000_0000n;

/** Address of the first struct page of a compound page; its own when it is none. */
export function headOf(page: KernelObject): bigint | Missing {
  const link = page.member('compound_head', 'compound_info').integer();
  if (isMissing(link)) return link;
  if ((link & 1n) === 0n) return page.address;
  // Since 7.1 it may be a mask of the descriptor's own address instead of a pointer.
  return link >= firstMask ? page.address & (link - 1n) : link - 1n;
}
