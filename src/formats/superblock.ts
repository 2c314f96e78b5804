import { layout, readStruct } from '../lib/layout.ts';

/**
 * Which file system lies on a device, and by which UUID and label it is named. The capture kernel has no udev, so there
 * are no /dev/disk/by-uuid links: the superblocks are all there is.
 */
export type FileSystemIdentity = {
  readonly fstype: string;
  /** Lower case, with dashes, as blkid(8) prints it. */
  readonly uuid: string;
  /** Empty when the file system has none. */
  readonly label: string;
};

/** Bytes from the start of a device that identifyFileSystem needs to see. */
export const superblockBytes = 0x10000 + 0x1000;

type Shape = {
  readonly fstype: string;
  /** Offset of the superblock in bytes, and within it those of the magic, UUID and label. */
  readonly at: number;
  readonly magic: readonly [offset: number, bytes: string];
  readonly uuid: number;
  readonly label: readonly [offset: number, length: number];
};

/** Sources: fs/ext4/ext4.h, fs/xfs/libxfs/xfs_format.h, include/uapi/linux/btrfs_tree.h. */
const shapes: readonly Shape[] = [
  { fstype: 'ext4', at: 0x400, magic: [0x38, '\x53\xef'], uuid: 0x68, label: [0x78, 16] },
  { fstype: 'xfs', at: 0, magic: [0, 'XFSB'], uuid: 32, label: [108, 12] },
  { fstype: 'btrfs', at: 0x10000, magic: [0x40, '_BHRfS_M'], uuid: 0x20, label: [0x12b, 256] },
];

/** Feature words of ext's superblock: they tell its three generations apart. */
const extFeatures = layout('ext4_super_block', 0x400, {
  compat: [0x5c, 'u32'],
  incompat: [0x60, 'u32'],
  roCompat: [0x64, 'u32'],
});
const EXT3_FEATURE_COMPAT_HAS_JOURNAL = 0x4;
/** Everything that ext3 knows; a bit beyond it makes the file system an ext4 (fs/ext4/super.c, ext3_feature_set_ok). */
const ext3Incompat = 0x2 | 0x4 | 0x10;
const ext3RoCompat = 0x1 | 0x2;

/** @param start the first bytes of a device: superblockBytes of them, or fewer when the device is smaller. */
export function identifyFileSystem(start: Uint8Array): FileSystemIdentity | undefined {
  const shape = shapes.find(
    ({ at, magic: [offset, bytes] }) => latin1(start, at + offset, bytes.length) === bytes,
  );
  // A device that ends within its own superblock holds no file system.
  if (shape === undefined || start.length < shape.at + 0x400) return undefined;
  return {
    fstype: shape.fstype === 'ext4' ? extGeneration(start) : shape.fstype,
    uuid: formatUuid(start.subarray(shape.at + shape.uuid, shape.at + shape.uuid + 16)),
    label: utf8(start, shape.at + shape.label[0], shape.label[1]),
  };
}

function extGeneration(start: Uint8Array): string {
  const { compat, incompat, roCompat } = readStruct(extFeatures, start, 0x400);
  if ((incompat & ~ext3Incompat) !== 0 || (roCompat & ~ext3RoCompat) !== 0) return 'ext4';
  return (compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL) !== 0 ? 'ext3' : 'ext2';
}

function formatUuid(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

const latin1 = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

const utf8 = (bytes: Uint8Array, at: number, length: number): string =>
  new TextDecoder().decode(bytes.subarray(at, at + length)).replace(/\0.*$/s, '');
