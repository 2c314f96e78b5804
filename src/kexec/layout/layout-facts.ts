import type { Range } from '../../lib/ranges.ts';

/** Kinds of memory in a firmware's map, by E820's numbers (arch/x86/include/asm/e820/types.h). */
export const e820Types = { ram: 1, reserved: 2, acpi: 3, nvs: 4, unusable: 5, pmem: 7, pram: 12 } as const;
export type MemoryType = keyof typeof e820Types;

export type MemoryRange = Range & { readonly type: MemoryType };

export type CpuNote = {
  /** The kernel's number of the CPU; there may be gaps. */
  readonly cpu: number;
  /** Physical address and bytes of its crash note. */
  readonly paddr: number;
  readonly size: number;
};

/** A mapping of EFI's run-time services (/sys/firmware/efi/runtime-map). */
export type EfiRuntimeRegion = {
  readonly type: number;
  readonly phys_addr: number;
  readonly virt_addr: bigint;
  readonly num_pages: number;
  readonly attribute: bigint;
};

export type EfiFacts = {
  /** /sys/firmware/efi/{fw_vendor,runtime,config_table}, and SMBIOS of systab; physical or virtual as the kernel says. */
  readonly fw_vendor: bigint;
  readonly runtime: bigint;
  readonly tables: bigint;
  readonly smbios: bigint;
  /** Empty where the firmware runs without a virtual map that could be handed on. */
  readonly runtimeMap: readonly EfiRuntimeRegion[];
};

/**
 * What placing a kernel by oneself (kexec_load) needs to know of the machine; plain but for the bytes of boot_params.
 * Ranges are half-open, physical, in bytes, ascending. Null: the machine does not say.
 */
export type LayoutFacts = {
  /** The firmware's map, or /proc/iomem's where there is none: what the next kernel is told. */
  readonly memoryMap: readonly MemoryRange[];
  /** RAM as the running kernel uses it now (/proc/iomem, hotplugged RAM included). */
  readonly ram: readonly Range[];
  /** Every "Crash kernel" range. */
  readonly crashRegions: readonly Range[];
  /** Holes of the GART, which must not be read. */
  readonly gart: readonly Range[];
  /** "Kernel code" to "Kernel bss" of the running kernel, physical. */
  readonly kernel: Range | null;
  /** Virtual address and bytes of the running kernel's text mapping, and what PT_LOADs of RAM are at (PAGE_OFFSET). */
  readonly kernelText: { readonly vaddr: bigint; readonly paddr: number; readonly size: number } | null;
  readonly pageOffset: bigint;
  /** One for each CPU that could ever be present. */
  readonly cpuNotes: readonly CpuNote[];
  readonly vmcoreinfo: { readonly paddr: number; readonly size: number } | null;
  /** Bytes that the running kernel wants for an ELF core header that it updates itself. */
  readonly elfcorehdrSize: number | null;
  /** boot_params of the running kernel, 4096 bytes. */
  readonly bootParams: Uint8Array | null;
  /** Physical address of ACPI's root pointer. */
  readonly acpiRsdp: number | null;
  readonly efi: EfiFacts | null;
  /** What could not be understood and what was assumed instead, a sentence each. */
  readonly warnings: readonly string[];
};
