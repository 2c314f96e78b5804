import { type MappedRun, type Missing, missing, VirtualMemory } from '../../src/kernel/memory.ts';

/** A piece of kernel memory. */
export type Piece = { readonly vaddr: bigint; readonly bytes: Uint8Array };

/** Distance of the pieces in physical memory. */
export const pieceDistance = 2 ** 32;

/**
 * Virtual memory made of pieces; everything else is not mapped. Piece i lies at physical address i * pieceDistance.
 * @param unreadable physical pages (byte addresses, of 4 KiB) that are mapped but not there
 */
export function pieceMemory(
  pieces: readonly Piece[],
  unreadable: ReadonlySet<number> = new Set(),
): VirtualMemory {
  const translate = (vaddr: bigint): MappedRun | Missing => {
    const index = pieces.findIndex((p) => vaddr >= p.vaddr && vaddr < p.vaddr + BigInt(p.bytes.length));
    if (index < 0) return missing('unmapped', vaddr);
    const offset = Number(vaddr - pieces[index]!.vaddr);
    return { vaddr, paddr: index * pieceDistance + offset, length: pieces[index]!.bytes.length - offset };
  };
  return new VirtualMemory(
    {
      readInto(paddr, target) {
        for (let page = paddr - (paddr % 4096); page < paddr + target.length; page += 4096) {
          if (unreadable.has(page)) return missing('excluded', page);
        }
        const piece = pieces[Math.floor(paddr / pieceDistance)];
        const offset = paddr % pieceDistance;
        if (piece === undefined || offset + target.length > piece.bytes.length) return missing('hole', paddr);
        target.set(piece.bytes.subarray(offset, offset + target.length));
        return undefined;
      },
    },
    { translate },
  );
}
