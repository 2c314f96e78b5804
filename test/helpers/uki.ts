import { layout, writeStruct } from '../../src/lib/layout.ts';

/** Where everything lies in the PE files made here, bytes. */
const peAt = 0x80;
const optionalSize = 112 + 16 * 8;
const optionalAt = peAt + 24;
export const sectionTableAt = optionalAt + optionalSize;
const fileAlignment = 512;
const sectionAlignment = 4096;

const peLayout = layout('PE', optionalAt + optionalSize, {
  dos_magic: [0, 'u16'],
  lfanew: [0x3c, 'u32'],
  signature: [peAt, 'u32'],
  machine: [peAt + 4, 'u16'],
  numberOfSections: [peAt + 6, 'u16'],
  sizeOfOptionalHeader: [peAt + 20, 'u16'],
  characteristics: [peAt + 22, 'u16'],
  magic: [optionalAt, 'u16'],
  imageBase: [optionalAt + 24, 'a64'],
  sectionAlignment: [optionalAt + 32, 'u32'],
  fileAlignment: [optionalAt + 36, 'u32'],
  sizeOfImage: [optionalAt + 56, 'u32'],
  sizeOfHeaders: [optionalAt + 60, 'u32'],
  subsystem: [optionalAt + 68, 'u16'],
  numberOfRvaAndSizes: [optionalAt + 108, 'u32'],
  certificates: [optionalAt + 112 + 4 * 8, 'u32'],
  certificatesSize: [optionalAt + 112 + 4 * 8 + 4, 'u32'],
});
const sectionLayout = layout('section', 40, {
  virtualSize: [8, 'u32'],
  virtualAddress: [12, 'u32'],
  sizeOfRawData: [16, 'u32'],
  pointerToRawData: [20, 'u32'],
  characteristics: [36, 'u32'],
});

export type Section = { readonly name: string; readonly content: Uint8Array | string };

/**
 * A PE32+ file for x86_64 with these sections in this order, which objdump reads.
 * @param signed names a certificate table behind the sections; there is no signature in it
 */
export function buildPe(sections: readonly Section[], { signed = false } = {}): Uint8Array {
  const align = (value: number, to: number): number => Math.ceil(value / to) * to;
  const headers = align(sectionTableAt + sections.length * sectionLayout.size, fileAlignment);
  let fileAt = headers;
  let memoryAt = align(headers, sectionAlignment);
  const placed = sections.map(({ name, content }) => {
    const bytes = Buffer.from(content);
    const section = { name, bytes, fileAt, memoryAt, fileSize: align(bytes.length, fileAlignment) };
    fileAt += section.fileSize;
    memoryAt += align(bytes.length, sectionAlignment);
    return section;
  });

  const file = new Uint8Array(fileAt + (signed ? 8 : 0));
  writeStruct(peLayout, file, 0, {
    dos_magic: 0x5a4d,
    lfanew: peAt,
    signature: 0x4550,
    machine: 0x8664,
    numberOfSections: sections.length,
    sizeOfOptionalHeader: optionalSize,
    // EXECUTABLE_IMAGE, LARGE_ADDRESS_AWARE
    characteristics: 0x22,
    magic: 0x20b,
    imageBase: 0x14_0000_0000n,
    sectionAlignment,
    fileAlignment,
    sizeOfImage: memoryAt,
    sizeOfHeaders: headers,
    // An EFI application.
    subsystem: 10,
    numberOfRvaAndSizes: 16,
    ...(signed ? { certificates: fileAt, certificatesSize: 8 } : {}),
  });
  for (const [index, section] of placed.entries()) {
    const at = sectionTableAt + index * sectionLayout.size;
    file.set(Buffer.from(section.name, 'latin1').subarray(0, 8), at);
    writeStruct(sectionLayout, file, at, {
      virtualSize: section.bytes.length,
      virtualAddress: section.memoryAt,
      sizeOfRawData: section.fileSize,
      pointerToRawData: section.fileAt,
      // INITIALIZED_DATA, READ
      characteristics: 0x40000040,
    });
    file.set(section.bytes, section.fileAt);
  }
  return file;
}

/** What goes into a unified kernel image, by the names of its sections. */
export type UkiOptions = {
  readonly osrel?: string;
  readonly uname?: string;
  readonly cmdline?: string | Uint8Array;
  readonly dtb?: Uint8Array;
  readonly ucode?: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly linux?: Uint8Array;
  readonly signed?: boolean;
  /** Sections behind the others, e.g. a .profile and what belongs to it. */
  readonly more?: readonly Section[];
};

/** A unified kernel image without a stub: nothing that firmware could start, everything that a loader looks for. */
export function buildUki({ signed = false, more = [], ...parts }: UkiOptions): Uint8Array {
  const order = ['osrel', 'uname', 'cmdline', 'dtb', 'ucode', 'initrd', 'linux'] as const;
  const sections = order.flatMap((name) => {
    const content = parts[name];
    return content === undefined ? [] : [{ name: `.${name}`, content }];
  });
  return buildPe([...sections, ...more], { signed });
}
