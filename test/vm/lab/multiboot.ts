// A file that QEMU starts in place of a kernel (-kernel), which begins as relocate_kernel leaves a machine: 64-bit mode,
// memory mapped at its own addresses. Source of the format: the Multiboot specification 0.6.96, section 3.1.

const base = 0x10_0000;
const pageTables = base + 0x1000;
const entry = base + 0x20;

/** Bytes at a physical address, from 0x110000 on. */
export type Piece = { readonly address: number; readonly bytes: Uint8Array };

/**
 * @param start address of the first instruction in 64-bit mode
 * @param stack what rsp holds there
 */
export function multibootImage(start: number, stack: number, pieces: readonly Piece[]): Buffer {
  const end = Math.max(...pieces.map(({ address, bytes }) => address + bytes.length));
  const image = Buffer.alloc(end - base);
  // magic, flags (bit 16: addresses follow), checksum; header, load, end of data (0: the file's), end of bss, entry
  const magic = 0x1bad_b002;
  const flags = 0x0001_0000;
  const words = [magic, flags, 2 ** 32 - magic - flags, base, base, 0, 0, entry];
  for (const [i, word] of words.entries()) image.writeUInt32LE(word, 4 * i);
  image.set(toLongMode(start, stack), entry - base);
  // Page tables: one entry of the fourth and of the third level, 512 pages of 2 MiB for the first GiB.
  const table = pageTables - base;
  image.writeBigUInt64LE(BigInt(pageTables + 0x1000) | 3n, table);
  image.writeBigUInt64LE(BigInt(pageTables + 0x2000) | 3n, table + 0x1000);
  for (let i = 0; i < 512; i++) image.writeBigUInt64LE(BigInt(i * 0x20_0000) | 0x83n, table + 0x2000 + 8 * i);
  for (const { address, bytes } of pieces) image.set(bytes, address - base);
  return image;
}

/** 32-bit code, and the descriptors that it needs behind it. */
function toLongMode(start: number, stack: number): Buffer {
  const word = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
  const gdt = entry + 0x60;
  const pointer = gdt + 0x10;
  const code = [
    ...[0xfa], // cli
    ...[0xbc, ...word(stack)], // mov esp, stack
    ...[0x0f, 0x20, 0xe0], // mov eax, cr4
    ...[0x83, 0xc8, 0x20], // or eax, PAE
    ...[0x0f, 0x22, 0xe0], // mov cr4, eax
    ...[0xb8, ...word(pageTables)], // mov eax, page tables
    ...[0x0f, 0x22, 0xd8], // mov cr3, eax
    ...[0xb9, ...word(0xc000_0080)], // mov ecx, EFER
    ...[0x0f, 0x32], // rdmsr
    ...[0x0d, ...word(0x100)], // or eax, LME
    ...[0x0f, 0x30], // wrmsr
    ...[0x0f, 0x20, 0xc0], // mov eax, cr0
    ...[0x0d, ...word(0x8000_0000)], // or eax, PG
    ...[0x0f, 0x22, 0xc0], // mov cr0, eax
    ...[0x0f, 0x01, 0x15, ...word(pointer)], // lgdt [pointer]
    ...[0xea, ...word(start), 0x08, 0x00], // jmp 0x08:start
  ];
  const bytes = Buffer.alloc(0x80);
  bytes.set(code);
  // The one descriptor that is used: 64-bit code.
  bytes.writeBigUInt64LE(0x00af_9b00_0000_ffffn, gdt + 8 - entry);
  bytes.set([0x0f, 0x00, ...word(gdt)], pointer - entry);
  return bytes;
}
