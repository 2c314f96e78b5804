import { KdumpError } from '../lib/errors.ts';
import { type Fields, layout, readStruct } from '../lib/layout.ts';
import {
  headerLayout,
  headerVersion,
  pageDescSize,
  signature,
  subHeaderLayout,
  utsnameOffset,
  utsnameSize,
} from './diskdump.ts';
import type { ReadAt } from './elf.ts';

/** A piece of the file, bytes. */
export type FileRange = { readonly offset: number; readonly size: number };

/** What the first two blocks of a kdump-compressed file say, of any header version; see diskdump.ts for the layout. */
export type KdumpHeader = {
  readonly version: number;
  /** struct new_utsname, 390 bytes. */
  readonly utsname: Uint8Array;
  /** Seconds since the epoch. */
  readonly crashTime: number;
  readonly status: number;
  readonly blockSize: number;
  readonly subHeaderBlocks: number;
  readonly bitmapBlocks: number;
  /** Page frames from 0 to the highest one; the 32-bit field and, from version 6 on, the one that counts. */
  readonly maxMapnr32: number;
  readonly maxMapnr: number;
  readonly nrCpus: number;
  /** Negative where the kernel lies below its usual address. */
  readonly physBase: bigint;
  /** 0 in version 0, which does not tell. */
  readonly dumpLevel: number;
  /** Whether this is a part of a split set, and the half-open range of page frames whose data it holds. */
  readonly split: boolean;
  readonly startPfn: number;
  readonly endPfn: number;
  /** Each with size 0 when there is none. */
  readonly vmcoreinfo: FileRange;
  readonly note: FileRange;
  readonly eraseinfo: FileRange;
  /** Very old files have one bitmap that serves both purposes. */
  readonly bitmapCount: 1 | 2;
  /** Size of one bitmap as it is stored, bytes. */
  readonly bitmapBytes: number;
  /** Bitmap 1, bitmap 2 (the same with one bitmap), descriptors; bytes. */
  readonly bitmap1Offset: number;
  readonly bitmap2Offset: number;
  readonly descriptorOffset: number;
};

/** Block sizes are page sizes; nothing smaller or larger has pages. */
const minBlockSize = 1024;
const maxBlockSize = 2 ** 20;
/** Physical addresses have at most 52 bits. */
const maxPhysicalBytes = 2 ** 52;

/** Header version from which on a field of the sub header is there. */
const since: Readonly<Record<keyof (typeof subHeaderLayout)['fields'], number>> = {
  physBase: 0,
  dumpLevel: 1,
  split: 2,
  startPfn: 2,
  endPfn: 2,
  offsetVmcoreinfo: 3,
  sizeVmcoreinfo: 3,
  offsetNote: 4,
  sizeNote: 4,
  offsetEraseinfo: 5,
  sizeEraseinfo: 5,
  startPfn64: 6,
  endPfn64: 6,
  maxMapnr64: 6,
};

/**
 * Reads the headers of a kdump-compressed file, 64-bit little-endian. Fields newer than the file's header_version are
 * absent, whatever lies there. Where bitmaps and descriptors lie is checked against nothing but arithmetic: what of
 * them is in the file is the reader's question.
 * @param name of the file, for errors
 * @throws KdumpError `not-kdump`, `unsupported-kdump`, `truncated`, `bad-header`
 */
export function readKdumpHeader(read: ReadAt, name: string): KdumpHeader {
  const head = read(0, headerLayout.size);
  const text = Buffer.from(head.subarray(0, signature.length)).toString('latin1');
  if (text !== signature) {
    throw new KdumpError(
      'not-kdump',
      `${name}: found ${JSON.stringify(text)} at offset 0, a kdump-compressed file begins with ${JSON.stringify(signature)}`,
    );
  }
  const bad = (what: string): KdumpError =>
    new KdumpError('bad-header', `${name}: ${what}`, {
      fix: 'The header is damaged, or this is no dump of a 64-bit little-endian machine.',
    });
  const header = readNamed(() => readStruct(headerLayout, head, 0, `${name} offset 0`), name);
  const { blockSize, bitmapBlocks, subHdrSize } = header;
  const version = header.headerVersion;
  if (version < 0 || version > 0xff)
    throw bad(`header_version is ${version}, known are 0 to ${headerVersion}`);
  if (blockSize < minBlockSize || blockSize > maxBlockSize || (blockSize & (blockSize - 1)) !== 0)
    throw bad(`block_size is ${blockSize}, a page has ${minBlockSize} to ${maxBlockSize} bytes`);
  if (subHdrSize < 1) throw bad(`sub_hdr_size is ${subHdrSize} blocks, there is always one`);

  const shape = subHeaderOf(version);
  const bytes = read(blockSize, shape.size);
  const sub: Partial<Record<keyof typeof since, number | bigint>> = readNamed(
    () => readStruct(shape, bytes, 0, `${name} offset ${blockSize}`),
    name,
  );
  const number = (key: keyof typeof since): number => Number(sub[key] ?? 0);
  const range = (offset: keyof typeof since, size: keyof typeof since): FileRange =>
    number(offset) === 0 ? { offset: 0, size: 0 } : { offset: number(offset), size: number(size) };

  // From version 6 on the 64-bit fields count; the 32-bit ones are cut at 2^32 - 1.
  const wide = version >= 6;
  const maxMapnr = wide ? number('maxMapnr64') : header.maxMapnr;
  if (maxMapnr > maxPhysicalBytes / blockSize)
    throw bad(`max_mapnr is ${maxMapnr}, physical memory has at most ${maxPhysicalBytes / blockSize} pages`);
  const blocksNeeded = Math.ceil(Math.ceil(maxMapnr / 8) / blockSize);
  if (bitmapBlocks < blocksNeeded)
    throw bad(`bitmap_blocks is ${bitmapBlocks}, ${maxMapnr} page frames need ${blocksNeeded}`);
  const bitmapCount = bitmapBlocks >= 2 * blocksNeeded ? 2 : 1;
  const bitmapBytes = Math.floor(bitmapBlocks / bitmapCount) * blockSize;
  const bitmap1Offset = (1 + subHdrSize) * blockSize;
  return {
    version,
    utsname: Uint8Array.from(head.subarray(utsnameOffset, utsnameOffset + utsnameSize)),
    crashTime: header.timestampSec,
    status: header.status,
    blockSize,
    subHeaderBlocks: subHdrSize,
    bitmapBlocks,
    maxMapnr32: header.maxMapnr,
    maxMapnr,
    nrCpus: header.nrCpus,
    physBase: BigInt.asIntN(64, BigInt(sub.physBase ?? 0)),
    dumpLevel: number('dumpLevel'),
    split: number('split') !== 0,
    startPfn: number(wide ? 'startPfn64' : 'startPfn'),
    endPfn: number(wide ? 'endPfn64' : 'endPfn'),
    vmcoreinfo: range('offsetVmcoreinfo', 'sizeVmcoreinfo'),
    note: range('offsetNote', 'sizeNote'),
    eraseinfo: range('offsetEraseinfo', 'sizeEraseinfo'),
    bitmapCount,
    bitmapBytes,
    bitmap1Offset,
    bitmap2Offset: bitmap1Offset + (bitmapCount - 1) * bitmapBytes,
    descriptorOffset: bitmap1Offset + bitmapBlocks * blockSize,
  };
}

/** Where page data begins in a file that describes `pages` pages: the whole set's in a part of a split set. */
export const pageDataOffset = (header: KdumpHeader, pages: number): number =>
  header.descriptorOffset + pages * pageDescSize;

/** The sub header as files of one version have it. */
function subHeaderOf(version: number): ReturnType<typeof layout<Fields>> {
  const fields = Object.entries(subHeaderLayout.fields).filter(
    ([field]) => since[field as keyof typeof since] <= version,
  );
  return layout(subHeaderLayout.name, subHeaderLayout.size, Object.fromEntries(fields) as Fields);
}

/** Names the file in the error of a field that cannot be a size or an offset. */
function readNamed<T>(read: () => T, name: string): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof KdumpError) || error.code !== 'out-of-range') throw error;
    throw new KdumpError('bad-header', `${name}: ${error.message}`, { cause: error });
  }
}
