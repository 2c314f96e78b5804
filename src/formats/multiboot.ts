/**
 * Finds a multiboot header: a magic in the first bytes of a file, and a checksum that makes the words from the magic to
 * itself come to 0. Little-endian.
 * Source: Multiboot Specification 0.6.96, 3.1 and Multiboot2 Specification 2.0, 3.1.
 */
const kinds = [
  { version: 1, magic: 0x1badb002, within: 8192, align: 4, words: 3 },
  { version: 2, magic: 0xe85250d6, within: 32768, align: 8, words: 4 },
] as const;

/** Version and offset of the multiboot header in the beginning of a file, or null. */
export function findMultiboot(head: Uint8Array): { version: 1 | 2; offset: number } | null {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (const { version, magic, within, align, words } of kinds)
    for (let offset = 0; offset + 4 * words <= Math.min(within, head.length); offset += align) {
      if (view.getUint32(offset, true) !== magic) continue;
      let sum = 0;
      for (let word = 0; word < words; word++) sum += view.getUint32(offset + 4 * word, true);
      if (sum % 2 ** 32 === 0) return { version, offset };
    }
  return null;
}
