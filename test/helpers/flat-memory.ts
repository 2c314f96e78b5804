import { missing, VirtualMemory } from '../../src/kernel/memory.ts';

const pageBytes = 4096;

/**
 * Kernel memory that is nothing but `bytes`, from address 0 on, mapped page by page.
 * @param lost numbers of pages that are mapped, but not in the dump
 */
export function flatMemory(bytes: Uint8Array, lost: readonly number[] = []): VirtualMemory {
  return new VirtualMemory(
    {
      readInto: (paddr, target) => {
        const last = Math.floor((paddr + target.length - 1) / pageBytes);
        for (let page = Math.floor(paddr / pageBytes); page <= last; page++) {
          if (lost.includes(page)) return missing('excluded', page * pageBytes);
        }
        if (paddr + target.length > bytes.length) return missing('hole', bytes.length);
        target.set(bytes.subarray(paddr, paddr + target.length));
        return undefined;
      },
    },
    {
      translate: (vaddr) => {
        if (vaddr >= BigInt(bytes.length)) return missing('unmapped', vaddr);
        const paddr = Number(vaddr);
        return {
          vaddr,
          paddr,
          length: Math.min(bytes.length, paddr - (paddr % pageBytes) + pageBytes) - paddr,
        };
      },
    },
  );
}
