import { type KernelCore, known } from './core.ts';

/** Where a kernel maps what belongs to memory as a whole. */
export type Regions = {
  /** All physical memory, one to one. */
  readonly directMap: { readonly start: bigint; readonly end: bigint };
  /** The descriptors of all pages as one array. */
  readonly vmemmap: bigint;
};

/** Of kernels that do not move their regions, with four levels of page tables (Documentation/arch/x86/x86_64/mm.rst). */
const fixed = {
  pageOffset: 0xffff_8880_0000_0000n,
  vmalloc: 0xffff_c900_0000_0000n,
  vmemmap: 0xffff_ea00_0000_0000n,
};

export function regionsOf(core: KernelCore): Regions {
  const pointer = (symbol: string): bigint | undefined => {
    const address = core.address(symbol);
    return (address && known(core.u64(address))) || undefined;
  };
  return {
    directMap: {
      start: pointer('page_offset_base') ?? fixed.pageOffset,
      end: pointer('vmalloc_base') ?? fixed.vmalloc,
    },
    // A symbol whose value is exported, since 6.12.
    vmemmap: core.info.symbol('vmemmap') ?? pointer('vmemmap_base') ?? fixed.vmemmap,
  };
}
