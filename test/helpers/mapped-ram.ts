import { missing, type PhysicalMemory } from '../../src/kernel/memory.ts';

/** RAM from physical address 0 on, with x86_64 page tables that are written as addresses are mapped. Four levels. */
export class MappedRam implements PhysicalMemory {
  readonly bytes: Buffer;
  /** Physical address of the root table. */
  readonly root: number;
  /** Physical addresses of all tables. */
  readonly tables: number[] = [];
  #nextTable: number;

  /** @param size bytes; tables are taken from the end downwards */
  constructor(size: number) {
    this.bytes = Buffer.alloc(size);
    this.#nextTable = size;
    this.root = this.#take();
  }

  /** Maps [vaddr, vaddr + length) to paddr, in pages of 4 KiB or 2 MiB. */
  map(vaddr: bigint, paddr: number, length: number, pageSize: 0x1000 | 0x20_0000 = 0x1000): void {
    const shifts = pageSize === 0x1000 ? [39n, 30n, 21n, 12n] : [39n, 30n, 21n];
    for (let done = 0; done < length; done += pageSize) {
      const address = vaddr + BigInt(done);
      let table = this.root;
      for (const shift of shifts) {
        const at = table + Number((address >> shift) & 0x1ffn) * 8;
        if (shift === shifts.at(-1)) {
          const flags = pageSize === 0x1000 ? 0x8000_0000_0000_0163n : 0x8000_0000_0000_01e3n;
          this.bytes.writeBigUInt64LE(BigInt(paddr + done) | flags, at);
          break;
        }
        if (this.bytes.readBigUInt64LE(at) === 0n)
          this.bytes.writeBigUInt64LE(BigInt(this.#take()) | 0x67n, at);
        table = Number(this.bytes.readBigUInt64LE(at) & 0x000f_ffff_ffff_f000n);
      }
    }
  }

  readInto(paddr: number, target: Uint8Array) {
    if (paddr + target.length > this.bytes.length) return missing('hole', paddr);
    target.set(this.bytes.subarray(paddr, paddr + target.length));
    return undefined;
  }

  #take(): number {
    this.#nextTable -= 4096;
    this.tables.push(this.#nextTable);
    return this.#nextTable;
  }
}
