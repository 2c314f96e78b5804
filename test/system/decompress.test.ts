import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { compressionOf, decompress } from '../../src/system/decompress.ts';

const plain = Buffer.from('\x7fELF a module'.repeat(50), 'latin1');
const installed = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

describe('decompress', () => {
  it('leaves a plain file as it is', () => {
    expect(decompress(plain, 'a.ko')).toBe(plain);
    expect(compressionOf(new Uint8Array(0))).toBeUndefined();
  });

  it('reads gzip', () =>
    expect(Buffer.from(decompress(gzipSync(plain), 'a.ko.gz')).equals(plain)).toBe(true));

  it.each(['xz', 'zstd'].filter(installed))('reads %s', (program) => {
    const packed = spawnSync(program, ['-c'], { input: plain }).stdout;
    expect(compressionOf(packed)).toBe(program);
    expect(Buffer.from(decompress(packed, 'a.ko')).equals(plain)).toBe(true);
  });

  it('names the file that is damaged', () => {
    const damaged = gzipSync(plain).subarray(0, 20);
    expect(() => decompress(damaged, 'lib/a.ko.gz')).toThrow(
      /^lib\/a\.ko\.gz: its gzip data cannot be decompressed/,
    );
  });
});
