import { probeBzImage, type setupHeader } from '../../../src/formats/bzimage.ts';
import { elfHeaderLayout, PT_LOAD } from '../../../src/formats/elf.ts';
import {
  elfHeaderSize,
  encodeElfHeader,
  encodeProgramHeader,
  newElfHeader,
  programHeaderSize,
} from '../../../src/formats/elf-encode.ts';
import { type ImageContent, memoryContent } from '../../../src/kexec/image/content.ts';
import type { KernelImage } from '../../../src/kexec/image/kernel-image.ts';
import type { EfiFacts, LayoutFacts } from '../../../src/kexec/layout/layout-facts.ts';
import { type LoadRequest, type PlacingRequest, plainPlacing } from '../../../src/kexec/request.ts';
import type { SegmentInput } from '../../../src/kexec/segments/plan-segments.ts';
import { type Struct, writeStruct } from '../../../src/lib/layout.ts';
import { syntheticHead } from '../synthetic-kernel.ts';

export const MIB = 1024 * 1024;
const realMode = 40 * 512;

/** Content of so many bytes without a byte of it in memory but its head. */
export function sparse(size: number, head: Uint8Array = new Uint8Array(0), name = 'a file'): ImageContent {
  return {
    size,
    name,
    read(offset, length) {
      const bytes = new Uint8Array(length);
      bytes.set(head.subarray(offset, offset + length));
      return bytes;
    },
  };
}

/** A bzImage of so many bytes, with zeros behind its header. */
export function bzImageOf(
  size: number,
  fields: Partial<Struct<typeof setupHeader.fields>> = {},
): KernelImage & { bzImage: object } {
  const path = '/boot/vmlinuz';
  const head = syntheticHead({ syssize: (size - realMode) / 16, ...fields }).subarray(0, size);
  // The jump over the header, which says how long it is.
  head.set([0xeb, 0x6a], 0x200);
  return {
    ...plainImage(path, sparse(size, head, path)),
    kind: 'bzImage',
    bzImage: probeBzImage(head, size, path),
  };
}

export type Load = { paddr: number; bytes: Uint8Array; memsz: number; vaddr?: bigint };

/** An ELF file with these PT_LOADs. */
export function vmlinuxOf(loads: readonly Load[], entry: bigint): KernelImage {
  const path = '/boot/vmlinux';
  const headers = elfHeaderSize + loads.length * programHeaderSize;
  const sizeOf = (some: readonly Load[]) => some.reduce((sum, { bytes }) => sum + bytes.length, headers);
  const file = new Uint8Array(sizeOf(loads));
  file.set(encodeElfHeader(newElfHeader(62), loads.length, 0).header);
  writeStruct(elfHeaderLayout, file, 0, { type: 2, entry });
  for (const [i, { paddr, bytes, memsz, vaddr }] of loads.entries()) {
    const offset = sizeOf(loads.slice(0, i));
    encodeProgramHeader(file, elfHeaderSize + i * programHeaderSize, {
      type: PT_LOAD,
      flags: 7,
      offset,
      vaddr: vaddr ?? 0xffff_ffff_8000_0000n + BigInt(paddr),
      paddr: BigInt(paddr),
      filesz: bytes.length,
      memsz,
      align: 0x200000n,
    });
    file.set(bytes, offset);
  }
  return { ...plainImage(path, memoryContent(file, path)), kind: 'vmlinux', bzImage: null };
}

function plainImage(path: string, content: ImageContent) {
  const notHere = (): never => {
    throw new Error('nothing is opened here');
  };
  return { path, size: content.size, wrapping: [], content, uki: null, openFile: notHere, close: notHere };
}

/** A machine of one range of RAM above 1 MiB, a low one, and reserved memory in both. */
export function layoutOf(facts: Partial<LayoutFacts> = {}): LayoutFacts {
  const ram = [
    { start: 0x1000, end: 0x9fc00 },
    { start: 0x100000, end: 0x40000000 },
  ];
  return {
    memoryMap: [
      { start: 0, end: 0x9fc00, type: 'ram' },
      { start: 0x9fc00, end: 0xa0000, type: 'reserved' },
      { start: 0xf0000, end: 0x100000, type: 'reserved' },
      { start: 0x100000, end: 0x40000000, type: 'ram' },
      { start: 0x40000000, end: 0x40020000, type: 'acpi' },
      { start: 0x40020000, end: 0x40030000, type: 'nvs' },
    ],
    ram,
    crashRegions: [{ start: 0x30000000, end: 0x3c000000 }],
    gart: [],
    kernel: { start: 0x1000000, end: 0x3000000 },
    kernelText: { vaddr: 0xffff_ffff_8100_0000n, paddr: 0x1000000, size: 0x2000000 },
    pageOffset: 0xffff_8880_0000_0000n,
    cpuNotes: [
      { cpu: 0, paddr: 0x2000_0000, size: 1024 },
      { cpu: 3, paddr: 0x2000_1000, size: 1024 },
    ],
    vmcoreinfo: { paddr: 0x2000_2000, size: 4096 },
    elfcorehdrSize: 0x20000,
    bootParams: new Uint8Array(4096),
    acpiRsdp: 0xf5270,
    efi: null,
    warnings: [],
    ...facts,
  };
}

export const efiFacts: EfiFacts = {
  fw_vendor: 0xffff_ffff_fe12_3000n,
  runtime: 0xffff_ffff_fe12_4000n,
  tables: 0x7f00_0000n,
  smbios: 0n,
  runtimeMap: [
    {
      type: 5,
      phys_addr: 0x3f00_0000,
      virt_addr: 0xffff_ffff_fe00_0000n,
      num_pages: 256,
      attribute: 0x8000_0000_0000_000fn,
    },
    {
      type: 6,
      phys_addr: 0x3f10_0000,
      virt_addr: 0xffff_ffff_fe10_0000n,
      num_pages: 16,
      attribute: 0x8000_0000_0000_000fn,
    },
  ],
};

export type InputChanges = Partial<Omit<SegmentInput, 'request'>> & {
  type?: LoadRequest['type'];
  placing?: Partial<PlacingRequest>;
};

/** A load that nothing speaks against, with what a test wants to be different. */
export function inputOf({ type = 'crash', placing = {}, ...rest }: InputChanges = {}): SegmentInput {
  return {
    request: {
      type,
      append: null,
      reuseCommandLine: false,
      debug: false,
      noCma: false,
      forceDtb: false,
      placing: { ...plainPlacing, ...placing },
    },
    kernel: bzImageOf(1 * MIB + realMode, { init_size: 4 * MIB }),
    initrd: sparse(300_000),
    commandLine: 'console=ttyS0 nr_cpus=1',
    layout: layoutOf(),
    randomSeed: Uint8Array.from({ length: 32 }, (_, i) => i + 1),
    ...rest,
  };
}
