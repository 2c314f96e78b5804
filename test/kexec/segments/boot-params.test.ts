import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bootParamsLayout,
  bootParamsParts,
  bootProtocol,
  e820EntryLayout,
  efiInfoLayout,
  efiMemoryDescriptorLayout,
  efiSetupDataLayout,
  setupDataLayout,
} from '../../../src/formats/boot-params.ts';
import { e820Types, type MemoryRange } from '../../../src/kexec/layout/layout-facts.ts';
import { type BootInformation, bootParamsParcel } from '../../../src/kexec/segments/boot-params.ts';
import { efiHandover } from '../../../src/kexec/segments/efi.ts';
import { bzImageBlock } from '../../../src/kexec/segments/kernel-block.ts';
import { readStruct, writeStruct } from '../../../src/lib/layout.ts';
import { bzImageOf, efiFacts, inputOf, layoutOf, MIB } from './images.ts';

const kernel = bzImageOf(MIB, { init_size: 4 * MIB });
const block = bzImageBlock(kernel.content, kernel.bzImage);
const seed = new Uint8Array(32).fill(7);

const told = (changes: Partial<BootInformation> = {}): BootInformation => ({
  setupHeader: block.setupHeader,
  commandLine: 'root=/dev/vda1 name=é',
  commandLineRoom: 0,
  e820: layoutOf().memoryMap,
  efi: null,
  acpiRsdp: null,
  randomSeed: seed,
  running: null,
  ...changes,
});

type SetupData = { type: number; data: Uint8Array };

/** The list of setup_data as a kernel walks it. */
function setupDataOf(bytes: Uint8Array, address: number): SetupData[] {
  const nodes: SetupData[] = [];
  for (let at = readStruct(bootParamsLayout, bytes).setup_data; at !== 0; ) {
    expect(at % 16).toBe(0);
    const { next, type, len } = readStruct(setupDataLayout, bytes, at - address);
    const start = at - address + setupDataLayout.size;
    expect(start + len).toBeLessThanOrEqual(bytes.length);
    nodes.push({ type, data: bytes.subarray(start, start + len) });
    at = next;
  }
  return nodes;
}

function entriesOf(bytes: Uint8Array): MemoryRange[] {
  const names = Object.fromEntries(Object.entries(e820Types).map(([name, number]) => [number, name]));
  return Array.from({ length: bytes.length / e820EntryLayout.size }, (_, i) => {
    const { addr, size, type } = readStruct(e820EntryLayout, bytes, i * e820EntryLayout.size);
    return { start: addr, end: addr + size, type: names[type] as MemoryRange['type'] };
  });
}

/** The memory map as a kernel puts it together. */
function memoryMapOf(bytes: Uint8Array, address: number): MemoryRange[] {
  const { e820_entries } = readStruct(bootParamsLayout, bytes);
  const [at] = bootParamsParts.e820_table;
  const more = setupDataOf(bytes, address).filter(({ type }) => type === 1);
  return [
    ...entriesOf(bytes.subarray(at, at + e820_entries * e820EntryLayout.size)),
    ...more.flatMap(({ data }) => entriesOf(data)),
  ];
}

const address = 0x6_3fff_1000;
const write = (information: BootInformation, ramdisk = { address: 0x6_3c92_3000, size: 3_000_000 }) =>
  bootParamsParcel(information).write(address, ramdisk);

describe('boot_params', () => {
  test("carry the kernel's own header and what the loader adds", () => {
    const bytes = write(told());
    const params = readStruct(bootParamsLayout, bytes);
    expect(params).toMatchObject({
      header: bootProtocol.HDRS,
      version: 0x020f,
      type_of_loader: 0xd0,
      loadflags: 0,
      ramdisk_image: 0x3c923000,
      ext_ramdisk_image: 6,
      ramdisk_size: 3_000_000,
      ext_ramdisk_size: 0,
      cmd_line_ptr: 0x3fff1000 + 4096,
      ext_cmd_line_ptr: 6,
      cmdline_size: 2047,
    });
    // Nothing of the file before its header, and nothing behind it.
    expect([...bytes.subarray(0x1e9, 0x1f1)]).toEqual(new Array(8).fill(0));
    expect(block.setupHeader.length).toBe(0x202 + 0x6a - 0x1f1);
  });
  test('take no more of a header than there is room for', () => {
    const wide = bzImageOf(MIB, { init_size: 4 * MIB });
    const read = wide.content.read;
    const content = {
      ...wide.content,
      read: (offset: number, length: number) => {
        const bytes = read(offset, length);
        if (offset === 0) bytes[0x201] = 0xff;
        return bytes;
      },
    };
    expect(bzImageBlock(content, wide.bzImage).setupHeader.length).toBe(0x7f);
  });
  test('say nothing of an initrd that there is not', () => {
    const bytes = bootParamsParcel(told()).write(address, null);
    expect(readStruct(bootParamsLayout, bytes)).toMatchObject({
      ramdisk_image: 0,
      ramdisk_size: 0,
      ext_ramdisk_image: 0,
    });
  });
  test('point at a command line that ends with a NUL, with room behind it', () => {
    const parcel = bootParamsParcel(told({ commandLineRoom: 41 }));
    const bytes = parcel.write(address, null);
    const text = 'root=/dev/vda1 name=é';
    expect(parcel.commandLineEnd).toBe(4096 + Buffer.byteLength(text));
    expect(Buffer.from(bytes.subarray(4096, parcel.commandLineEnd)).toString()).toBe(text);
    expect([...bytes.subarray(parcel.commandLineEnd, parcel.commandLineEnd + 42)]).toEqual(
      new Array(42).fill(0),
    );
    expect(setupDataOf(bytes, address)).toHaveLength(1);
  });
  test('carry the seed of random numbers', () => {
    expect(setupDataOf(write(told()), address)).toEqual([{ type: 9, data: seed }]);
  });
  test('carry what only the firmware knew, within bounds', () => {
    const running = new Uint8Array(4096).fill(0xee);
    writeStruct(bootParamsLayout, running, 0, {
      acpi_rsdp_addr: 1,
      setup_data: 2,
      eddbuf_entries: 200,
      edd_mbr_sig_buf_entries: 3,
      secure_boot: 2,
      hardware_subarch: 5,
      hardware_subarch_data: 6n,
    });
    const bytes = write(told({ running, acpiRsdp: 0xf5270 }));
    expect(readStruct(bootParamsLayout, bytes)).toMatchObject({
      acpi_rsdp_addr: 0xf5270,
      eddbuf_entries: 6,
      edd_mbr_sig_buf_entries: 3,
      secure_boot: 2,
      hardware_subarch: 5,
      hardware_subarch_data: 6n,
    });
    for (const [at, length] of [
      [0x4, 60],
      [0x290, 64],
      [0xd00, 492],
    ] as const)
      expect(bytes.subarray(at, at + length)).toEqual(running.subarray(at, at + length));
    // Neither what lies between them nor what was said of the old initrd and command line.
    expect(bytes[0x40]).toBe(0);
    expect(bytes[0x1ef]).toBe(0);
    expect(readStruct(bootParamsLayout, bytes).setup_data).not.toBe(2);
  });
  test('tell the RAM above 1 MiB in the old way, too', () => {
    const params = readStruct(bootParamsLayout, write(told()));
    expect(params).toMatchObject({ ext_mem_k: 0xfc00, alt_mem_k: (0x40000000 - MIB) / 1024 });
    const small = [{ start: 0, end: 3 * MIB, type: 'ram' }] as const;
    expect(readStruct(bootParamsLayout, write(told({ e820: small })))).toMatchObject({
      ext_mem_k: 2048,
      alt_mem_k: 2048,
    });
  });
  test('carry every memory map, the 129th entry on as setup_data', () => {
    const type = fc.constantFrom(...(Object.keys(e820Types) as MemoryRange['type'][]));
    const map = fc.array(fc.tuple(fc.nat(2 ** 30), fc.nat(2 ** 20), type), { maxLength: 300, size: 'max' });
    fc.assert(
      fc.property(map, fc.nat(2 ** 20), fc.string({ maxLength: 500 }), (entries, page, commandLine) => {
        const e820 = entries.map(([start, length, type]) => ({
          start: start * 4096,
          end: (start + length) * 4096,
          type,
        }));
        const parcel = bootParamsParcel(told({ e820, commandLine }));
        const bytes = parcel.write(page * 4096, null);
        expect(bytes.length).toBe(parcel.size);
        expect(memoryMapOf(bytes, page * 4096)).toEqual(e820);
        expect(setupDataOf(bytes, page * 4096).map(({ type }) => type)).toEqual(
          e820.length > 128 ? [1, 9] : [9],
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe("EFI's run-time services", () => {
  const bootParams = new Uint8Array(4096);
  writeStruct(efiInfoLayout, bootParams, bootParamsParts.efi_info[0], {
    efi_loader_signature: 0x34364c45,
    efi_systab: 0x7f00_1000,
    efi_systab_hi: 1,
    efi_memdesc_size: 48,
    efi_memdesc_version: 1,
    efi_memmap_size: 4800,
  });
  const { request } = inputOf();
  const layout = layoutOf({ efi: efiFacts, bootParams });

  test('are handed over', () => {
    const efi = efiHandover(request, block, layout)!;
    const bytes = write(told({ efi, running: bootParams }));
    const info = readStruct(efiInfoLayout, bytes, bootParamsParts.efi_info[0]);
    expect(info).toMatchObject({
      efi_loader_signature: 0x34364c45,
      efi_systab: 0x7f00_1000,
      efi_systab_hi: 1,
      efi_memdesc_size: 40,
      efi_memdesc_version: 1,
      efi_memmap_size: 80,
      efi_memmap_hi: 6,
    });
    const mapAt = info.efi_memmap_hi * 2 ** 32 + info.efi_memmap - address;
    expect(readStruct(efiMemoryDescriptorLayout, bytes, mapAt + 40)).toEqual(efiFacts.runtimeMap[1]);
    const nodes = setupDataOf(bytes, address);
    expect(nodes.map(({ type }) => type)).toEqual([4, 9]);
    const { fw_vendor, runtime, tables, smbios } = efiFacts;
    expect(readStruct(efiSetupDataLayout, nodes[0]!.data)).toEqual({ fw_vendor, runtime, tables, smbios });
  });
  test.each([
    ['not wanted', { ...request, placing: { ...request.placing, efi: false } }, block, layout],
    ['unknown to the kernel', request, { ...block, xloadflags: 0x2f }, layout],
    ['not there', request, block, { ...layout, efi: null }],
    ['not mapped', request, block, { ...layout, efi: { ...efiFacts, runtimeMap: [] } }],
    ['started without', request, block, { ...layout, bootParams: new Uint8Array(4096) }],
    ['not to be seen', request, block, { ...layout, bootParams: null }],
  ])('are not handed over: %s', (_why, asked, image, facts) => {
    expect(efiHandover(asked, image, facts)).toBeNull();
  });
  test('are not handed over with a memory map of another version', () => {
    const other = bootParams.slice();
    writeStruct(efiInfoLayout, other, bootParamsParts.efi_info[0], { efi_memdesc_version: 2 });
    expect(efiHandover(request, block, { ...layout, bootParams: other })).toBeNull();
  });
});
