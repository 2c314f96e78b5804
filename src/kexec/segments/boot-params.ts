import {
  bootParamsLayout,
  bootParamsParts,
  bootProtocol,
  e820EntryLayout,
  e820Max,
  eddMax,
  type SetupDataType,
  setupDataLayout,
  setupDataTypes,
  setupHeaderStart,
} from '../../formats/boot-params.ts';
import { readStruct, writeStruct } from '../../lib/layout.ts';
import { alignUp } from '../../lib/ranges.ts';
import { e820Types, type MemoryRange } from '../layout/layout-facts.ts';
import { type EfiHandover, writeEfiInfo } from './efi.ts';

/** All that a kernel is told, before it is known where anything lies. */
export type BootInformation = {
  readonly setupHeader: Uint8Array;
  readonly commandLine: string;
  /** Bytes kept free behind the command line, for what the purgatory appends. */
  readonly commandLineRoom: number;
  readonly e820: readonly MemoryRange[];
  readonly efi: EfiHandover | null;
  readonly acpiRsdp: number | null;
  readonly randomSeed: Uint8Array;
  /** boot_params of the running kernel: what only the firmware's own boot loader could find out. */
  readonly running: Uint8Array | null;
};

/** The initrd: physical address and bytes. */
export type Ramdisk = { readonly address: number; readonly size: number };

const ONE_MIB = 0x100000;

/**
 * boot_params, the command line, the EFI memory map and all setup_data in one segment, as kexec_file_load has it:
 * kexec_load takes no more than 16 segments.
 */
export function bootParamsParcel(information: BootInformation): {
  readonly size: number;
  /** Offset of the NUL behind the command line. */
  readonly commandLineEnd: number;
  /** The bytes for a physical address of the whole. */
  write(address: number, ramdisk: Ramdisk | null): Uint8Array;
} {
  const commandLine = Buffer.from(information.commandLine);
  const nodes = setupDataNodes(information);
  let size: number = bootParamsLayout.size;
  const reserve = (bytes: number): number => {
    const at = alignUp(size, 16);
    size = at + bytes;
    return at;
  };
  const commandLineAt = reserve(commandLine.length + 1 + information.commandLineRoom);
  const efiMapAt = reserve(information.efi?.map.length ?? 0);
  const nodesAt = nodes.map(({ data }) => reserve(setupDataLayout.size + data.length));
  return {
    size,
    commandLineEnd: commandLineAt + commandLine.length,
    write(address, ramdisk) {
      const bytes = new Uint8Array(size);
      writeHeader(bytes, information.setupHeader, address + commandLineAt, ramdisk);
      writeFirmware(bytes, information);
      writeMemoryMap(bytes, information.e820);
      bytes.set(commandLine, commandLineAt);
      if (information.efi !== null) {
        writeEfiInfo(bytes, information.efi, address + efiMapAt);
        bytes.set(information.efi.map, efiMapAt);
      }
      writeStruct(bootParamsLayout, bytes, 0, { setup_data: nodes.length === 0 ? 0 : address + nodesAt[0]! });
      for (const [i, { type, data }] of nodes.entries()) {
        const next = nodesAt[i + 1];
        writeStruct(setupDataLayout, bytes, nodesAt[i]!, {
          next: next === undefined ? 0 : address + next,
          type: setupDataTypes[type],
          len: data.length,
        });
        bytes.set(data, nodesAt[i]! + setupDataLayout.size);
      }
      return bytes;
    },
  };
}

function setupDataNodes({
  e820,
  efi,
  randomSeed,
}: BootInformation): { type: SetupDataType; data: Uint8Array }[] {
  return [
    ...(efi === null ? [] : [{ type: 'EFI' as const, data: efi.setupData }]),
    ...(e820.length > e820Max ? [{ type: 'E820_EXT' as const, data: e820Entries(e820.slice(e820Max)) }] : []),
    { type: 'RNG_SEED' as const, data: randomSeed },
  ];
}

function writeHeader(
  bytes: Uint8Array,
  setupHeader: Uint8Array,
  commandLine: number,
  ramdisk: Ramdisk | null,
): void {
  bytes.set(setupHeader, setupHeaderStart);
  const { address, size } = ramdisk ?? { address: 0, size: 0 };
  writeStruct(bootParamsLayout, bytes, 0, {
    type_of_loader: bootProtocol.LOADER_KEXEC,
    loadflags: 0,
    ramdisk_image: low(address),
    ext_ramdisk_image: high(address),
    ramdisk_size: low(size),
    ext_ramdisk_size: high(size),
    cmd_line_ptr: low(commandLine),
    ext_cmd_line_ptr: high(commandLine),
  });
}

/**
 * What the running kernel was told by the firmware and nobody can ask for again. The whole of screen_info is among it,
 * as in the kernel's own loader, so the type of video is always the old one.
 */
function writeFirmware(bytes: Uint8Array, { running, acpiRsdp }: BootInformation): void {
  if (running !== null) {
    const copied = ['screen_info', 'edd_mbr_sig_buffer', 'eddbuf'] as const;
    for (const [at, length] of copied.map((part) => bootParamsParts[part]))
      bytes.set(running.subarray(at, at + length), at);
    const old = readStruct(bootParamsLayout, running, 0, 'boot_params of the running kernel');
    writeStruct(bootParamsLayout, bytes, 0, {
      eddbuf_entries: Math.min(old.eddbuf_entries, eddMax.eddbuf),
      edd_mbr_sig_buf_entries: Math.min(old.edd_mbr_sig_buf_entries, eddMax.mbrSignatures),
      secure_boot: old.secure_boot,
      hardware_subarch: old.hardware_subarch,
      hardware_subarch_data: old.hardware_subarch_data,
    });
  }
  if (acpiRsdp !== null) writeStruct(bootParamsLayout, bytes, 0, { acpi_rsdp_addr: acpiRsdp });
}

function writeMemoryMap(bytes: Uint8Array, e820: readonly MemoryRange[]): void {
  const table = e820.slice(0, e820Max);
  bytes.set(e820Entries(table), bootParamsParts.e820_table[0]);
  const above = e820.find(({ type, start, end }) => type === 'ram' && start <= ONE_MIB && end > ONE_MIB);
  const kib = above === undefined ? 0 : Math.floor((above.end - ONE_MIB) / 1024);
  writeStruct(bootParamsLayout, bytes, 0, {
    e820_entries: table.length,
    ext_mem_k: Math.min(kib, 0xfc00),
    alt_mem_k: Math.min(kib, 0xffffffff),
  });
}

function e820Entries(ranges: readonly MemoryRange[]): Uint8Array {
  const { size } = e820EntryLayout;
  const bytes = new Uint8Array(ranges.length * size);
  for (const [i, { start, end, type }] of ranges.entries())
    writeStruct(e820EntryLayout, bytes, i * size, {
      addr: start,
      size: end - start,
      type: e820Types[type],
    });
  return bytes;
}

const low = (value: number): number => value % 2 ** 32;
const high = (value: number): number => Math.floor(value / 2 ** 32);
