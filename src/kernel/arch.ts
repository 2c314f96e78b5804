import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import type { KernelImage } from './image.ts';
import type { AddressTranslator, PhysicalMemory } from './memory.ts';

/** What distinguishes one architecture from another when its memory is read. The dump decides, not the reading machine. */
export type Architecture = {
  /** utsname.machine. */
  readonly name: string;
  /** e_machine of its ELF cores (elf.h). */
  readonly elfMachine: number;
  /** Bytes, when VMCOREINFO does not say; undefined where kernels differ. */
  readonly pageSize: number | undefined;
  /** SECTION_SIZE_BITS when VMCOREINFO does not say. */
  readonly sectionSizeBits: number;
  /** MAX_PHYSMEM_BITS when VMCOREINFO does not say. */
  readonly maxPhysmemBits: number;
  /** phys_base of the kdump sub header: where the kernel image or RAM starts, as the architecture defines it. */
  physBase(info: Vmcoreinfo, segments: readonly LinearSegment[]): bigint;
  /** Page-table walk from the kernel's root table. */
  translator(info: Vmcoreinfo, physical: PhysicalMemory, physBase: bigint): AddressTranslator;
  /** The same walk from the root table of a process, by its physical address. */
  processTranslator?(info: Vmcoreinfo, physical: PhysicalMemory, root: number): AddressTranslator;
  /** Where the kernel image is; what looks for something in it does not look when this is absent. */
  readonly image?: KernelImage;
};

/** A PT_LOAD with its virtual address, as far as translation needs it. */
export type LinearSegment = { readonly vaddr: bigint; readonly paddr: number };
