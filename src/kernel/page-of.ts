import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { isMissing, type Missing } from './memory.ts';
import type { KernelObject } from './object.ts';

const pageShift = 12n;

/** Where all physical memory is mapped one to one. */
export function directMapStart({ core }: Kernel): bigint {
  const variable = core.address('page_offset_base');
  return (variable && known(core.u64(variable))) || 0xffff_8880_0000_0000n;
}

/** Where the page descriptors are mapped as one array. */
export function vmemmapStart({ core }: Kernel): bigint {
  const variable = core.address('vmemmap_base');
  return (variable && known(core.u64(variable))) || 0xffff_ea00_0000_0000n;
}

/** The struct page of a physical address. @throws KdumpError `no-type` */
export function pageOf(kernel: Kernel, physical: number): KernelObject {
  const type = kernel.object('page', 0n).type;
  const pfn = BigInt(physical) >> pageShift;
  return kernel.object(type, vmemmapStart(kernel) + pfn * BigInt(type.size));
}

/** Physical address of what a struct page describes; undefined when the address is none. */
export function physicalOfPage(kernel: Kernel, page: bigint): bigint | undefined {
  const size = BigInt(kernel.object('page', 0n).type.size);
  const distance = page - vmemmapStart(kernel);
  const last = kernel.core.address('max_pfn');
  const pages = (last && known(kernel.core.u64(last))) || 1n << 34n;
  return distance < 0n || distance % size !== 0n || distance / size > pages
    ? undefined
    : (distance / size) << pageShift;
}

/** Address of the first struct page of a compound page; its own when it is none. */
export function headOf(page: KernelObject): bigint | Missing {
  const link = page.member('compound_head', 'compound_info').integer();
  if (isMissing(link)) return link;
  if ((link & 1n) === 0n) return page.address;
  // Since 7.1 it may be a mask of the descriptor's own address instead of a pointer.
  const isPointer = link >> 40n === page.address >> 40n && link < page.address;
  return isPointer ? link - 1n : BigInt.asUintN(64, page.address & (link - 1n));
}
