import {
  bootParamsParts,
  bootProtocol,
  efiInfoLayout,
  efiMemoryDescriptorLayout,
  efiSetupDataLayout,
} from '../../formats/boot-params.ts';
import { readStruct, type Struct, writeStruct } from '../../lib/layout.ts';
import type { EfiFacts, EfiRuntimeRegion, LayoutFacts } from '../layout/layout-facts.ts';
import type { LoadRequest } from '../request.ts';
import type { KernelBlock } from './kernel-block.ts';

/** What lets the next kernel use EFI's run-time services, which only the first kernel could set up. */
export type EfiHandover = {
  readonly info: Struct<typeof efiInfoLayout.fields>;
  /** Data of SETUP_EFI. */
  readonly setupData: Uint8Array;
  /** The run-time regions as an EFI memory map. */
  readonly map: Uint8Array;
};

/**
 * Null where it cannot be: it is not wanted, the kernel does not know XLF_EFI_KEXEC, the machine runs without EFI's
 * run-time services, or its memory map is of a version that nobody knows.
 */
export function efiHandover(
  request: LoadRequest,
  kernel: KernelBlock,
  layout: LayoutFacts,
): EfiHandover | null {
  const { efi, bootParams } = layout;
  if (!request.placing.efi || (kernel.xloadflags & bootProtocol.XLF_EFI_KEXEC) === 0) return null;
  if (efi === null || efi.runtimeMap.length === 0 || bootParams === null) return null;
  const info = readStruct(efiInfoLayout, bootParams, bootParamsParts.efi_info[0], 'boot_params');
  if (info.efi_memmap_size === 0 || info.efi_memdesc_version !== 1) return null;
  return { info, setupData: setupDataOf(efi), map: memoryMapOf(efi.runtimeMap) };
}

function setupDataOf({ fw_vendor, runtime, tables, smbios }: EfiFacts): Uint8Array {
  const bytes = new Uint8Array(efiSetupDataLayout.size);
  writeStruct(efiSetupDataLayout, bytes, 0, { fw_vendor, runtime, tables, smbios });
  return bytes;
}

function memoryMapOf(regions: readonly EfiRuntimeRegion[]): Uint8Array {
  const { size } = efiMemoryDescriptorLayout;
  const bytes = new Uint8Array(regions.length * size);
  for (const [i, region] of regions.entries())
    writeStruct(efiMemoryDescriptorLayout, bytes, i * size, region);
  return bytes;
}

/** efi_info of boot_params, with the memory map at a physical address. */
export function writeEfiInfo(params: Uint8Array, { info, map }: EfiHandover, mapAddress: number): void {
  writeStruct(efiInfoLayout, params, bootParamsParts.efi_info[0], {
    ...info,
    efi_memdesc_size: efiMemoryDescriptorLayout.size,
    efi_memmap: mapAddress % 2 ** 32,
    efi_memmap_hi: Math.floor(mapAddress / 2 ** 32),
    efi_memmap_size: map.length,
  });
}
