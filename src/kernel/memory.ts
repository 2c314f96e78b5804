/**
 * A kernel's memory as seen from outside. What is not there is a value with a reason, never a silent zero: a dump has
 * holes, excluded pages and ends.
 */
export type MissingReason =
  /** No RAM there, or the dump does not cover it. */
  | 'hole'
  /** The page existed and was filtered out. */
  | 'excluded'
  /** The file ends before it. */
  | 'truncated'
  /** The page tables map nothing there. */
  | 'unmapped';

export type Missing = { readonly missing: MissingReason; readonly address: string };

export const isMissing = <T>(value: T | Missing): value is Missing =>
  typeof value === 'object' && value !== null && 'missing' in value;

export const missing = (reason: MissingReason, address: number | bigint): Missing => ({
  missing: reason,
  address: `0x${BigInt.asUintN(64, BigInt(address)).toString(16)}`,
});

/** Physical memory, addressed in bytes. */
export type PhysicalMemory = {
  /** Fills `target` from `paddr` on; a read is whole, or Missing with `target` in any state. */
  readInto(paddr: number, target: Uint8Array): Missing | undefined;
};

/** A piece of virtual memory that lies in one piece of physical memory. */
export type MappedRun = {
  readonly vaddr: bigint;
  /** Physical address, bytes. */
  readonly paddr: number;
  /** Bytes from vaddr on that are known to be contiguous. */
  readonly length: number;
};

/** Translates kernel virtual addresses of one architecture. */
export type AddressTranslator = {
  /** The run of contiguous physical memory from `vaddr` to the end of its page or large page. */
  translate(vaddr: bigint): MappedRun | Missing;
};

/** Kernel virtual memory: translation on top of physical memory. */
export class VirtualMemory {
  readonly #physical: PhysicalMemory;
  readonly #translator: AddressTranslator;

  constructor(physical: PhysicalMemory, translator: AddressTranslator) {
    this.#physical = physical;
    this.#translator = translator;
  }

  translate(vaddr: bigint): MappedRun | Missing {
    return this.#translator.translate(vaddr);
  }

  /** Reads `length` bytes at a kernel virtual address; across page boundaries; whole or Missing. */
  read(vaddr: bigint, length: number): Uint8Array | Missing {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const run = this.#translator.translate(vaddr + BigInt(done));
      if (isMissing(run)) return run;
      const end = Math.min(length, done + run.length);
      const failed = this.#physical.readInto(run.paddr, bytes.subarray(done, end));
      if (failed) return failed;
      done = end;
    }
    return bytes;
  }

  /** Fills `target` from a physical address, for callers that translated a long run themselves. */
  readPhysicalInto(paddr: number, target: Uint8Array): Missing | undefined {
    return this.#physical.readInto(paddr, target);
  }
}

export const u64At = (bytes: Uint8Array, offset: number): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset, true);
