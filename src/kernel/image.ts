import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import type { VirtualMemory } from './memory.ts';
import type { KernelSymbols } from './types.ts';

/** Half-open range of kernel virtual addresses. */
export type VirtualRange = { readonly start: bigint; readonly end: bigint };

/** Where an architecture maps the image of the kernel: text, constants, data, bss. */
export type KernelImage = {
  /** All addresses that the image may be mapped at; most of them are not mapped. */
  range(info: Vmcoreinfo): VirtualRange;
  /**
   * Parts of the mapped image that the kernel gave back to the page allocator while it started, in whole pages. They may
   * still be mapped there.
   */
  freed(symbols: KernelSymbols, memory: VirtualMemory, pageSize: number): VirtualRange[];
};

/** Whole pages from one symbol to another; undefined when there are none or a symbol is unknown. */
export function pagesBetween(
  symbols: KernelSymbols,
  first: string,
  last: string,
  pageSize: number,
): VirtualRange | undefined {
  const [from, to] = [symbols.address(first), symbols.address(last)];
  if (from === undefined || to === undefined) return undefined;
  const size = BigInt(pageSize);
  const range = { start: ((from + size - 1n) / size) * size, end: (to / size) * size };
  return range.start < range.end ? range : undefined;
}
