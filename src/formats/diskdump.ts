import { layout, writeStruct } from '../lib/layout.ts';

/**
 * The kdump-compressed format, version 6, of 64-bit little-endian targets: what makedumpfile writes and crash(8) reads
 * (makedumpfile diskdump_mod.h, crash diskdump.h). In file order, sizes in blocks of the dumped kernel's page size:
 *
 *   block 0       disk_dump_header
 *   block 1       kdump_sub_header, the copied PT_NOTE right behind it
 *   then          bitmap 1 (page exists), bitmap 2 (page is in the dump), each padded to a block
 *   then          one page_desc for each set bit of bitmap 2, by ascending pfn
 *   then          page data, first of all the shared zero page when zero pages are excluded
 */
export const signature = 'KDUMP   ';
export const headerVersion = 6;

export const headerLayout = layout('disk_dump_header', 464, {
  headerVersion: [8, 'i32'],
  timestampSec: [408, 'i64'],
  timestampUsec: [416, 'i64'],
  status: [424, 'u32'],
  blockSize: [428, 'i32'],
  subHdrSize: [432, 'i32'],
  bitmapBlocks: [436, 'u32'],
  maxMapnr: [440, 'u32'],
  nrCpus: [460, 'i32'],
});
/** struct new_utsname inside the header: six NUL-terminated fields of 65 bytes. */
export const utsnameOffset = 12;
export const utsnameSize = 390;

export const subHeaderLayout = layout('kdump_sub_header', 104, {
  physBase: [0, 'a64'],
  dumpLevel: [8, 'i32'],
  split: [12, 'i32'],
  startPfn: [16, 'u64'],
  endPfn: [24, 'u64'],
  offsetVmcoreinfo: [32, 'u64'],
  sizeVmcoreinfo: [40, 'u64'],
  offsetNote: [48, 'u64'],
  sizeNote: [56, 'u64'],
  offsetEraseinfo: [64, 'u64'],
  sizeEraseinfo: [72, 'u64'],
  startPfn64: [80, 'u64'],
  endPfn64: [88, 'u64'],
  maxMapnr64: [96, 'u64'],
});

export const pageDescLayout = layout('page_desc', 24, {
  offset: [0, 'u64'],
  size: [8, 'u32'],
  flags: [12, 'u32'],
  pageFlags: [16, 'u64'],
});
export const pageDescSize = pageDescLayout.size;

/** page_desc.flags, and the same bits in the header's status; 0 is a page stored as it is. */
export const codecFlag = { none: 0, zlib: 0x1, lzo: 0x2, snappy: 0x4, zstd: 0x20 } as const;
export type Codec = keyof typeof codecFlag;

/** Status bit: the dump ends early, descriptors of missing pages are all zero. */
export const statusIncomplete = 0x8;

/** Where everything lies in a file, all in bytes. */
export type DumpLayout = {
  readonly blockSize: number;
  readonly subHeaderBlocks: number;
  /** Size of one bitmap. */
  readonly bitmapBytes: number;
  readonly notesOffset: number;
  readonly bitmapOffset: number;
  readonly descriptorOffset: number;
  readonly dataOffset: number;
};

/** Computes the places from the three numbers they depend on. */
export function dumpLayout(
  blockSize: number,
  notesSize: number,
  maxMapnr: number,
  dumpablePages: number,
): DumpLayout {
  const subHeaderBlocks = Math.ceil((subHeaderLayout.size + notesSize) / blockSize);
  const bitmapBytes = blockSize * Math.ceil(Math.ceil(maxMapnr / 8) / blockSize);
  const bitmapOffset = (1 + subHeaderBlocks) * blockSize;
  const descriptorOffset = bitmapOffset + 2 * bitmapBytes;
  return {
    blockSize,
    subHeaderBlocks,
    bitmapBytes,
    notesOffset: blockSize + subHeaderLayout.size,
    bitmapOffset,
    descriptorOffset,
    dataOffset: descriptorOffset + pageDescSize * dumpablePages,
  };
}

export type DumpHeader = {
  readonly layout: DumpLayout;
  /** struct new_utsname of the crashed kernel, 390 bytes, or all zero. */
  readonly utsname: Uint8Array;
  /** Seconds since the epoch. */
  readonly crashTime: number;
  readonly status: number;
  readonly maxMapnr: number;
  readonly nrCpus: number;
  readonly physBase: bigint;
  readonly dumpLevel: number;
  readonly notes: Uint8Array;
  /** Offset of the VMCOREINFO text within the notes and its length; both 0 when there is none. */
  readonly vmcoreinfoOffset: number;
  readonly vmcoreinfoSize: number;
};

/** Status bit: pages of struct page that describe only excluded pages are left out, too (makedumpfile -e). */
export const statusUnusedVmemmap = 0x10;

const saturate32 = (n: number): number => Math.min(n, 0xffff_ffff);

/** Bytes of the header blocks: disk_dump_header, kdump_sub_header and notes, up to the first bitmap. */
export function encodeHeaders(header: DumpHeader): Buffer {
  const { layout: places, notes } = header;
  const bytes = Buffer.alloc(places.bitmapOffset);
  bytes.write(signature, 0, 'latin1');
  bytes.set(header.utsname.subarray(0, utsnameSize), utsnameOffset);
  writeStruct(headerLayout, bytes, 0, {
    headerVersion,
    timestampSec: header.crashTime,
    status: header.status,
    blockSize: places.blockSize,
    subHdrSize: places.subHeaderBlocks,
    bitmapBlocks: (2 * places.bitmapBytes) / places.blockSize,
    maxMapnr: saturate32(header.maxMapnr),
    nrCpus: header.nrCpus,
  });
  const hasInfo = header.vmcoreinfoSize > 0;
  writeStruct(subHeaderLayout, bytes, places.blockSize, {
    physBase: header.physBase,
    dumpLevel: header.dumpLevel,
    offsetVmcoreinfo: hasInfo ? places.notesOffset + header.vmcoreinfoOffset : 0,
    sizeVmcoreinfo: header.vmcoreinfoSize,
    offsetNote: notes.length > 0 ? places.notesOffset : 0,
    sizeNote: notes.length,
    maxMapnr64: header.maxMapnr,
  });
  bytes.set(notes, places.notesOffset);
  return bytes;
}

/** Makes encoded headers those of a part of a split set, which holds the data of [start, end). */
export function writePart(
  headers: Uint8Array,
  { blockSize }: DumpLayout,
  { start, end }: { readonly start: number; readonly end: number },
): void {
  writeStruct(subHeaderLayout, headers, blockSize, {
    split: 1,
    startPfn: saturate32(start),
    endPfn: saturate32(end),
    startPfn64: start,
    endPfn64: end,
  });
}
