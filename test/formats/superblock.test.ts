import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { identifyFileSystem, superblockBytes } from '../../src/formats/superblock.ts';

const uuid = '0123abcd-4567-89ab-cdef-0123456789ab';
const uuidBytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');

function device(parts: [at: number, bytes: string | Buffer][]): Buffer {
  const bytes = Buffer.alloc(superblockBytes);
  for (const [at, part] of parts) bytes.set(Buffer.from(part as string, 'latin1'), at);
  return bytes;
}

const mke2fs = ['/usr/sbin/mke2fs', '/sbin/mke2fs'].find((path) => spawnSync(path, ['-V']).status === 0);

describe('identifyFileSystem', () => {
  it('tells xfs and btrfs with UUID and label', () => {
    const xfs = device([
      [0, 'XFSB'],
      [32, uuidBytes],
      [108, 'crash'],
    ]);
    expect(identifyFileSystem(xfs)).toEqual({ fstype: 'xfs', uuid, label: 'crash' });
    const btrfs = device([
      [0x10040, '_BHRfS_M'],
      [0x10020, uuidBytes],
      [0x1012b, 'pool'],
    ]);
    expect(identifyFileSystem(btrfs)).toEqual({ fstype: 'btrfs', uuid, label: 'pool' });
  });

  it('tells the generations of ext by their features', () => {
    const ext = (compat: number, incompat: number) => {
      const bytes = device([
        [0x438, '\x53\xef'],
        [0x468, uuidBytes],
      ]);
      bytes.writeUInt32LE(compat, 0x45c);
      bytes.writeUInt32LE(incompat, 0x460);
      return identifyFileSystem(bytes)?.fstype;
    };
    expect(ext(0, 2)).toBe('ext2');
    expect(ext(4, 2)).toBe('ext3');
    expect(ext(4, 0x42)).toBe('ext4');
  });

  it('finds nothing on an empty or tiny device', () => {
    expect(identifyFileSystem(Buffer.alloc(superblockBytes))).toBeUndefined();
    expect(identifyFileSystem(device([[0, 'XFSB']]).subarray(0, 100))).toBeUndefined();
    expect(identifyFileSystem(new Uint8Array(0))).toBeUndefined();
  });

  it.runIf(mke2fs !== undefined).each(['ext2', 'ext3', 'ext4'])('agrees with mke2fs about %s', (fstype) => {
    const directory = mkdtempSync(join(tmpdir(), 'kdump-test-'));
    try {
      const image = join(directory, 'image');
      expect(spawnSync(mke2fs!, ['-q', '-t', fstype, '-U', uuid, '-L', 'dumps', image, '8M']).status).toBe(0);
      expect(identifyFileSystem(readFileSync(image).subarray(0, superblockBytes))).toEqual({
        fstype,
        uuid,
        label: 'dumps',
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
