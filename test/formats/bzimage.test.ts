import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bzImageHeadBytes, describeFile, hasBootHeader, probeBzImage } from '../../src/formats/bzimage.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { syntheticHead, syntheticSize } from '../kexec/synthetic-kernel.ts';

const refusal = (head: Uint8Array, size = Math.max(head.length, syntheticSize)): KdumpError => {
  try {
    probeBzImage(head, size, 'vmlinuz');
  } catch (error) {
    if (error instanceof KdumpError) return error;
    throw error;
  }
  throw new Error('was accepted');
};

describe('probeBzImage', () => {
  test('reads what the header says', () => {
    expect(probeBzImage(syntheticHead(), syntheticSize, 'vmlinuz')).toEqual({
      protocol: '2.15',
      kernel_version: '6.1.0-56-cloud-amd64 (builder@example.org) #1 SMP',
      setup_size: 20480,
      init_size: 0x3378000,
      kernel_alignment: 0x200000,
      pref_address: 0x1000000,
      cmdline_size: 2047,
      relocatable: true,
      five_level: true,
      signed: false,
    });
  });

  test('sees a signature, a missing version and 4 sectors written as 0', () => {
    expect(probeBzImage(syntheticHead({}, { signed: true }), syntheticSize, 'k').signed).toBe(true);
    expect(probeBzImage(syntheticHead({ kernel_version: 0 }), syntheticSize, 'k').kernel_version).toBeNull();
    expect(probeBzImage(syntheticHead({ setup_sects: 0 }), syntheticSize, 'k').setup_size).toBe(5 * 512);
    expect(probeBzImage(syntheticHead({ xloadflags: 3 }), syntheticSize, 'k').five_level).toBe(false);
  });

  test.each([
    [{ header: 0x12345678 }, 'not-a-kernel', /expected "HdrS" at offset 0x202, found 78 56 34 12/],
    [{ boot_flag: 0x1234 }, 'not-a-kernel', /boot flag 0xaa55 at offset 0x1fe, found 0x1234/],
    [{ version: 0x020b }, 'kernel-unsupported', /protocol 2\.11 at offset 0x206, at least 2\.12/],
    [{ loadflags: 0 }, 'kernel-unsupported', /zImage/],
    [{ xloadflags: 2 }, 'kernel-unsupported', /32-bit kernel: .* 0x2 at offset 0x236/],
    [{ xloadflags: 1 }, 'kernel-unsupported', /XLF_CAN_BE_LOADED_ABOVE_4G/],
    [{ kernel_alignment: 0 }, 'kernel-unsupported', /kernel_alignment 0x0 at offset 0x230/],
    [{ kernel_alignment: 0x300000 }, 'kernel-unsupported', /not a power of two/],
    [{ init_size: 4096 }, 'kernel-unsupported', /init_size 4096 at offset 0x260/],
    [{ pref_address: 1n << 60n }, 'kernel-unsupported', /pref_address 0x1000000000000000/],
  ] as const)('refuses %o', (fields, code, message) => {
    const error = refusal(syntheticHead(fields));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('vmlinuz');
  });

  test('refuses a truncated file, which the kernel would load', () => {
    const error = refusal(syntheticHead(), syntheticSize - 1);
    expect(error.code).toBe('kernel-truncated');
    expect(error.facts).toEqual({ size: syntheticSize - 1, expected: syntheticSize });
  });

  test('refuses what is too short for a header', () => {
    expect(refusal(new Uint8Array(100), 100).message).toMatch(/has 100 bytes, a bzImage at least 1024/);
  });

  test.each([
    ['\x89LZO\0', /lzo-compressed, which is not read/],
    ['BZh9', /bzip2-compressed, which is not read/],
    ['MZ\0\0zimg', /zboot/],
    ['070701', /cpio/],
    ['MZ\0\0', /an EFI program without a Linux boot header/],
  ])('says what %j is instead', (magic, words) => {
    const head = new Uint8Array(2048);
    head.set(Buffer.from(magic, 'latin1'));
    expect(refusal(head).message).toMatch(words);
  });

  test('names an arm64 Image, zeros, and nothing when it does not know', () => {
    const arm = new Uint8Array(2048);
    arm.set(Buffer.from('ARM\x64'), 56);
    expect(describeFile(arm)).toMatch(/arm64/);
    expect(describeFile(new Uint8Array(64))).toBe('only zero bytes');
    expect(describeFile(Buffer.from('hello'))).toBeNull();
    expect(describeFile(new Uint8Array(0))).toBeNull();
  });

  test('hasBootHeader looks for one word', () => {
    const head = syntheticHead();
    expect(hasBootHeader(head)).toBe(true);
    expect(hasBootHeader(head.subarray(0, 0x206))).toBe(true);
    expect(hasBootHeader(head.subarray(0, 0x205))).toBe(false);
    expect(hasBootHeader(syntheticHead({ header: 0 }))).toBe(false);
  });

  test('answers any bytes with a value or a KdumpError', () => {
    const valid = syntheticHead();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(0x300), fc.nat(255)), { maxLength: 20 }),
        fc.nat(2 * syntheticSize),
        fc.nat(bzImageHeadBytes),
        (edits, size, length) => {
          const head = valid.slice(0, Math.min(length, size));
          for (const [at, byte] of edits) if (at < head.length) head[at] = byte;
          try {
            const image = probeBzImage(head, size, 'k');
            expect(image.setup_size).toBeLessThanOrEqual(size);
            expect(image.cmdline_size).toBeGreaterThanOrEqual(0);
          } catch (error) {
            expect(error).toBeInstanceOf(KdumpError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
