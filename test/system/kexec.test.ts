import { describe, expect, test } from 'vitest';
import { readStruct } from '../../src/lib/layout.ts';
import { errnoName } from '../../src/system/errno.ts';
import { koffi } from '../../src/system/ffi.ts';
import {
  kexecFileLoad,
  kexecLoad,
  kexecSegmentLayout,
  packSegments,
  syscallNumbers,
} from '../../src/system/kexec.ts';

describe('packSegments', () => {
  test('lays segments out as the kernel reads them, with addresses that lead to the bytes', () => {
    const segments = [
      { bytes: Buffer.from('purgatory'), mem: 0x63fff7000, memsz: 0x9000 },
      { bytes: Buffer.from('initrd, longer'), mem: 0x63c923000, memsz: 0x2dd000 },
    ];
    const packed = packSegments(segments);
    expect(packed.length).toBe(64);
    for (const [i, { bytes, mem, memsz }] of segments.entries()) {
      const read = readStruct(kexecSegmentLayout, packed, i * 32);
      expect([read.mem, read.memsz, read.bufsz]).toEqual([mem, memsz, bytes.length]);
      expect(Buffer.from(koffi().view(read.buf, read.bufsz)).toString()).toBe(bytes.toString());
    }
  });
  test('has no address for a segment of zeros', () => {
    const packed = packSegments([{ bytes: new Uint8Array(0), mem: 0x100000, memsz: 4096 }]);
    expect(readStruct(kexecSegmentLayout, packed).buf).toBe(0n);
  });
});

// Flags that no kernel knows: whoever runs this, and wherever, nothing is loaded, unloaded or freed.
const noSuchFlags = 0x8000;
describe('the calls return errno as a value', () => {
  const reasons = ['EPERM', 'EINVAL', 'ENOSYS'];
  test('kexec_file_load', () => {
    const result = kexecFileLoad(-1, -1, 'quiet', noSuchFlags);
    expect(result.ok).toBe(false);
    expect(reasons).toContain(errnoName(result.ok ? 0 : result.errno));
  });
  test('kexec_load', () => {
    const segment = { bytes: Buffer.alloc(4096), mem: 0x100000, memsz: 4096 };
    const result = kexecLoad(0x100000, [segment], noSuchFlags);
    expect(result.ok).toBe(false);
    expect(reasons).toContain(errnoName(result.ok ? 0 : result.errno));
  });
});

test('this architecture has its system call numbers', () => {
  expect(syscallNumbers[process.arch]?.kexec_file_load).toBeGreaterThan(0);
});
