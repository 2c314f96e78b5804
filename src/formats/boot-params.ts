import { layout } from '../lib/layout.ts';

/**
 * What a boot loader hands to an x86_64 kernel: boot_params (the "zero page") and the list of setup_data behind it.
 * Source: Documentation/arch/x86/{zero-page,boot}.rst, arch/x86/include/uapi/asm/{bootparam,setup_data}.h. All
 * little-endian; addresses are physical.
 */
export const bootParamsLayout = layout('boot_params', 4096, {
  /** screen_info.ext_mem_k: KiB above 1 MiB, at most 64 MiB of them; alt_mem_k is the same, wider. */
  ext_mem_k: [0x002, 'u16'],
  acpi_rsdp_addr: [0x070, 'u64'],
  ext_ramdisk_image: [0x0c0, 'u32'],
  ext_ramdisk_size: [0x0c4, 'u32'],
  ext_cmd_line_ptr: [0x0c8, 'u32'],
  alt_mem_k: [0x1e0, 'u32'],
  e820_entries: [0x1e8, 'u8'],
  eddbuf_entries: [0x1e9, 'u8'],
  edd_mbr_sig_buf_entries: [0x1ea, 'u8'],
  secure_boot: [0x1ec, 'u8'],
  // From here on the setup header, at the offsets that it has in a bzImage.
  boot_flag: [0x1fe, 'u16'],
  header: [0x202, 'u32'],
  version: [0x206, 'u16'],
  type_of_loader: [0x210, 'u8'],
  loadflags: [0x211, 'u8'],
  ramdisk_image: [0x218, 'u32'],
  ramdisk_size: [0x21c, 'u32'],
  cmd_line_ptr: [0x228, 'u32'],
  initrd_addr_max: [0x22c, 'u32'],
  kernel_alignment: [0x230, 'u32'],
  relocatable_kernel: [0x234, 'u8'],
  xloadflags: [0x236, 'u16'],
  cmdline_size: [0x238, 'u32'],
  hardware_subarch: [0x23c, 'u32'],
  hardware_subarch_data: [0x240, 'a64'],
  setup_data: [0x250, 'u64'],
});

/** Parts of boot_params that are copied whole: [offset, bytes]. */
export const bootParamsParts = {
  screen_info: [0x000, 64],
  efi_info: [0x1c0, 32],
  edd_mbr_sig_buffer: [0x290, 16 * 4],
  e820_table: [0x2d0, 128 * 20],
  eddbuf: [0xd00, 6 * 82],
} as const;

/** The setup header: where it begins, and the byte that says how far it goes beyond 0x202 (a jump over it). */
export const setupHeaderStart = 0x1f1;
export const setupHeaderLength = { at: 0x201, from: 0x202, most: 0x7f } as const;

/** How many entries there is room for in boot_params. */
export const e820Max = 128;
export const eddMax = { eddbuf: 6, mbrSignatures: 16 } as const;

export const e820EntryLayout = layout('boot_e820_entry', 20, {
  addr: [0, 'u64'],
  size: [8, 'u64'],
  type: [16, 'u32'],
});

/** Head of a node in the list of setup_data; `len` bytes of data follow. */
export const setupDataLayout = layout('setup_data', 16, {
  next: [0, 'u64'],
  type: [8, 'u32'],
  len: [12, 'u32'],
});
export const setupDataTypes = { E820_EXT: 1, DTB: 2, EFI: 4, RNG_SEED: 9 } as const;
export type SetupDataType = keyof typeof setupDataTypes;

export const efiInfoLayout = layout('efi_info', 32, {
  /** "EL64" or "EL32": the firmware's width; 0 without EFI. */
  efi_loader_signature: [0, 'u32'],
  efi_systab: [4, 'u32'],
  efi_memdesc_size: [8, 'u32'],
  efi_memdesc_version: [12, 'u32'],
  efi_memmap: [16, 'u32'],
  efi_memmap_size: [20, 'u32'],
  efi_systab_hi: [24, 'u32'],
  efi_memmap_hi: [28, 'u32'],
});

/** Data of SETUP_EFI: what a kernel that was not started by the firmware cannot find any more. */
export const efiSetupDataLayout = layout('efi_setup_data', 96, {
  fw_vendor: [0, 'a64'],
  runtime: [8, 'a64'],
  tables: [16, 'a64'],
  smbios: [24, 'a64'],
});

/** efi_memory_desc_t, version 1. */
export const efiMemoryDescriptorLayout = layout('efi_memory_desc', 40, {
  type: [0, 'u32'],
  phys_addr: [8, 'u64'],
  virt_addr: [16, 'a64'],
  num_pages: [24, 'u64'],
  attribute: [32, 'a64'],
});

/** Numbers of the boot protocol. */
export const bootProtocol = {
  HDRS: 0x53726448,
  BOOT_FLAG: 0xaa55,
  LOADED_HIGH: 1,
  XLF_KERNEL_64: 1,
  XLF_CAN_BE_LOADED_ABOVE_4G: 2,
  /** The kernel takes over EFI's run-time map from the kernel before it. */
  XLF_EFI_KEXEC: 1 << 4,
  /** type_of_loader of kexec; the low four bits are its version. */
  LOADER_KEXEC: 0xd0,
  /** startup_64 in the protected-mode part of a bzImage. */
  ENTRY_64: 0x200,
} as const;
