import { flattenedHeaderSize, flattenedMagicSize, isFlattened } from './flattened.ts';

/**
 * A dump on a bare device: a flattened stream from its first byte on. In the room that the stream's header leaves unused
 * stands what is known about it, as JSON, since there is nowhere else to write to.
 */
export type RawMark = {
  /** incomplete: written as far as `bytes`, which is brought up to date while the dump is written. */
  readonly state: 'incomplete' | 'complete';
  /** Bytes of the stream that are on the device. */
  readonly bytes: number;
  readonly host: string;
  /** ISO 8601, UTC */
  readonly crashTime: string | null;
  readonly kernelRelease: string | null;
  readonly panic: string | null;
  /** Of kdumpctl test, when that made the crash. */
  readonly testId: string | null;
  /** Of these bytes, when the dump is complete. */
  readonly sha256: string | null;
};

/** Behind the fields of the header, on a sector of its own. */
export const rawMarkOffset = 512;
const roomForMark = flattenedHeaderSize - rawMarkOffset;
const longestText = 512;

/** The mark with the zeros that fill its room. */
export function encodeRawMark(mark: RawMark): Buffer {
  const cut = (text: string | null): string | null => text?.slice(0, longestText) ?? null;
  const short = {
    ...mark,
    panic: cut(mark.panic),
    host: cut(mark.host),
    kernelRelease: cut(mark.kernelRelease),
  };
  const room = Buffer.alloc(roomForMark);
  room.write(JSON.stringify({ kdumpTools: 1, ...short }));
  return room;
}

/**
 * What the start of a device says about a dump on it.
 * @param start its first `flattenedHeaderSize` bytes
 * @returns undefined when there is no dump; no mark when something else than this project has written it
 */
export function readRawMark(start: Uint8Array): { mark: RawMark | undefined } | undefined {
  if (start.length < flattenedMagicSize || !isFlattened(start)) return undefined;
  const text = Buffer.from(start.subarray(rawMarkOffset)).toString().replace(/\0.*$/s, '');
  try {
    const value = JSON.parse(text) as RawMark & { kdumpTools?: unknown };
    const { kdumpTools, ...mark } = value;
    const isOurs = kdumpTools === 1 && Number.isSafeInteger(mark.bytes) && typeof mark.host === 'string';
    return { mark: isOurs ? mark : undefined };
  } catch {
    return { mark: undefined };
  }
}

/** What is not overwritten: [what it is, offset, bytes as Latin-1]. Sources: libblkid's list of magic strings. */
const signatures: readonly (readonly [what: string, offset: number, magic: string])[] = [
  ['a LUKS volume', 0, 'LUKS\xba\xbe'],
  ['an XFS file system', 0, 'XFSB'],
  ['a squashfs', 0, 'hsqs'],
  ['an exFAT file system', 3, 'EXFAT   '],
  ['an NTFS file system', 3, 'NTFS    '],
  ['a FAT file system', 54, 'FAT1'],
  ['a FAT file system', 82, 'FAT32'],
  ['a partition table', 512, 'EFI PART'],
  ['an LVM physical volume', 0x18, 'LVM2 001'],
  ['an LVM physical volume', 0x218, 'LVM2 001'],
  ['an LVM physical volume', 0x200, 'LABELONE'],
  ['an ext file system', 0x438, '\x53\xef'],
  ['an F2FS', 0x400, '\x10\x20\xf5\xf2'],
  ['a RAID member', 0, '\xfc\x4e\x2b\xa9'],
  ['a RAID member', 0x1000, '\xfc\x4e\x2b\xa9'],
  ['swap space', 0xff6, 'SWAPSPACE2'],
  ['swap space', 0xfff6, 'SWAPSPACE2'],
  ['an ISO 9660 file system', 0x8001, 'CD001'],
  ['a btrfs', 0x10040, '_BHRfS_M'],
];
/** Bytes of a device in which all of them lie. */
export const signatureBytes = 0x11000;

/** What lies on a device already, in words; undefined when it may be overwritten. @param start `signatureBytes` of it */
export function occupantOf(start: Uint8Array): string | undefined {
  const text = Buffer.from(start).toString('latin1');
  return signatures.find(([, offset, magic]) => text.startsWith(magic, offset))?.[0];
}
