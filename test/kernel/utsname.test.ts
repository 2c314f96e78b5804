import { describe, expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { decodeUtsname, readUtsname, utsnameBytes } from '../../src/kernel/utsname.ts';
import { pieceMemory } from '../helpers/piece-memory.ts';

const symbol = 0xffff_ffff_8260_0000n;

/** struct uts_namespace with the name at an offset. */
function namespaceWith(offset: number, sysname = 'Linux'): Uint8Array {
  const bytes = Buffer.alloc(offset + utsnameBytes + 64, 0x22);
  bytes.fill(0, offset, offset + utsnameBytes);
  bytes.write(sysname, offset);
  bytes.write('7.2.12', offset + 2 * 65);
  return bytes;
}

const releaseIn = (bytes: Uint8Array, exported = ''): string | undefined => {
  const info = new Vmcoreinfo(`SYMBOL(init_uts_ns)=${symbol.toString(16)}\n${exported}`);
  const name = readUtsname(info, pieceMemory([{ vaddr: symbol, bytes }]));
  return name && decodeUtsname(name).release;
};

describe('the name of a kernel', () => {
  test('is where the kernel says', () => {
    expect(releaseIn(namespaceWith(24), 'OFFSET(uts_namespace.name)=24\n')).toBe('7.2.12');
    // Also when it looks odd: whether it can be trusted is for others to say.
    expect(releaseIn(namespaceWith(24, 'GNU'), 'OFFSET(uts_namespace.name)=24\n')).toBe('7.2.12');
  });

  test.each([0, 4])('is found at offset %i when the kernel does not say', (offset) => {
    expect(releaseIn(namespaceWith(offset))).toBe('7.2.12');
  });

  test('is unknown without a symbol, and where nothing can be read', () => {
    expect(readUtsname(new Vmcoreinfo(''), pieceMemory([]))).toBeUndefined();
    expect(releaseIn(new Uint8Array(100))).toBeUndefined();
  });
});
