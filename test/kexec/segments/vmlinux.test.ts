import { describe, expect, test } from 'vitest';
import { bootParamsLayout, setupHeaderStart } from '../../../src/formats/boot-params.ts';
import { vmlinuxBlock } from '../../../src/kexec/segments/vmlinux.ts';
import { readStruct } from '../../../src/lib/layout.ts';
import { errorOf } from '../fixtures.ts';
import { type Load, MIB, vmlinuxOf } from './images.ts';

const text: Load = { paddr: 0x1000000, bytes: Buffer.from('text'), memsz: 4 };
const data: Load = { paddr: 0x1200000, bytes: Buffer.from('data'), memsz: 3 * MIB };
const blockOf = (loads: readonly Load[], entry: bigint) => vmlinuxBlock(vmlinuxOf(loads, entry).content);

describe('a vmlinux as one block', () => {
  test('has its segments where their physical addresses put them', () => {
    const block = blockOf([data, text], 0x1000002n);
    expect(block).toMatchObject({ memsz: 5 * MIB, alignment: 2 * MIB, lowest: 0x1000000, linked: 0x1000000 });
    expect(block.bytes.length).toBe(2 * MIB + 4);
    expect(Buffer.from(block.bytes.subarray(0, 4)).toString()).toBe('text');
    expect(Buffer.from(block.bytes.subarray(2 * MIB)).toString()).toBe('data');
    expect(block.bytes.subarray(4, 2 * MIB).every((byte) => byte === 0)).toBe(true);
    expect(block.entry).toBe(2);
  });
  test('begins at a multiple of 2 MiB, so that it stays one when it is moved', () => {
    const block = blockOf([{ ...text, paddr: 0x1001000 }], 0x1001000n);
    expect(block).toMatchObject({ linked: 0x1000000, entry: 0x1000, memsz: 0x1004 });
  });
  test('is entered at a virtual address, too', () => {
    expect(blockOf([text, data], 0xffff_ffff_8120_0003n).entry).toBe(2 * MIB + 3);
  });
  test('brings a header that a 64-bit kernel takes', () => {
    const params = new Uint8Array(4096);
    params.set(blockOf([text], 0x1000000n).setupHeader, setupHeaderStart);
    expect(readStruct(bootParamsLayout, params)).toMatchObject({
      boot_flag: 0xaa55,
      header: 0x53726448,
      version: 0x20c,
      xloadflags: 3,
      cmdline_size: 2047,
    });
  });
  test.each([
    ['no PT_LOAD', [], 0n, /has no PT_LOAD/],
    ['an entry point elsewhere', [text], 0x2000000n, /entry point 0x2000000 lies in none/],
    ['overlaps', [text, { ...data, paddr: 0x1000002 }], 0x1000000n, /0x1000000 and 0x1000002 overlap/],
    ['more bytes than memory', [{ ...text, memsz: 2 }], 0x1000000n, /has 4 bytes for 2 of memory/],
    ['far apart', [text, { ...data, paddr: 0x80000000 }], 0x1000000n, /are spread over/],
    ['no address', [{ ...text, paddr: Number.MAX_SAFE_INTEGER + 1 }], 0n, /is no physical address/],
  ])('is refused: %s', (_what, loads, entry, message) => {
    const error = errorOf(() => blockOf(loads, entry));
    expect(error.code).toBe('kernel-unsupported');
    expect(error.message).toMatch(message);
  });
});
