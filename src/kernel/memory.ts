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
  /**
   * The same bytes without a copy, good until the next `view`; undefined where they are not in memory in one piece:
   * the caller reads instead.
   */
  view?(paddr: number, length: number): Uint8Array | undefined;
};

/** A piece of virtual memory that lies in one piece of physical memory. */
export type MappedRun = {
  readonly vaddr: bigint;
  /** Physical address, bytes. */
  readonly paddr: number;
  /** Bytes from vaddr on that are known to be contiguous. */
  readonly length: number;
};

/** One table entry on the way from the root to a page. */
export type WalkStep = {
  /** Name of the level, as the kernel calls it. */
  readonly name: string;
  /** Physical address of the entry, bytes. */
  readonly address: number;
  /** Undefined when the table cannot be read. */
  readonly entry: bigint | undefined;
};

/** Translates kernel virtual addresses of one architecture. */
export type AddressTranslator = {
  /** The run of contiguous physical memory from `vaddr` to the end of its page or large page. */
  translate(vaddr: bigint): MappedRun | Missing;
  /** The entries that lead from the root table to `vaddr`, one a level; the last one is the leaf, or where it ends. */
  walkSteps?(vaddr: bigint): WalkStep[];
  /** What is mapped in [start, end), in ascending order: for those who want it all, faster than address by address. */
  mappedRuns?(start: bigint, end: bigint): Iterable<MappedRun>;
  /** Physical addresses of the pages that hold the kernel's own page tables, at most `limit` of them. */
  tablePages?(limit: number): number[];
  /** Forgets tables that were read: those of a kernel that runs change. */
  forget?(): void;
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

  /** The page-table entries on the way to `vaddr`; none where the architecture does not tell them. */
  walkSteps(vaddr: bigint): WalkStep[] {
    return this.#translator.walkSteps?.(vaddr) ?? [];
  }

  /** What is mapped in [start, end), in ascending order. */
  mappedRuns(start: bigint, end: bigint): Iterable<MappedRun> {
    return this.#translator.mappedRuns?.(start, end) ?? runsByTranslation(this.#translator, start, end);
  }

  /** Physical addresses of the pages that hold the kernel's own page tables, at most `limit`; none when unknown. */
  tablePages(limit: number): number[] {
    return this.#translator.tablePages?.(limit) ?? [];
  }

  /** Forgets what was read of the page tables. */
  forget(): void {
    this.#translator.forget?.();
  }

  /** Reads `length` bytes at a kernel virtual address; across page boundaries; whole or Missing. */
  read(vaddr: bigint, length: number): Uint8Array | Missing {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const run = this.#translator.translate(vaddr + BigInt(done));
      if (isMissing(run)) return run;
      const end = Math.min(length, done + run.length);
      const part = end - done === length ? bytes : bytes.subarray(done, end);
      const failed = this.#physical.readInto(run.paddr, part);
      if (failed) return failed;
      done = end;
    }
    return bytes;
  }

  /** Fills `target` from a physical address, for callers that translated a long run themselves. */
  readPhysicalInto(paddr: number, target: Uint8Array): Missing | undefined {
    return this.#physical.readInto(paddr, target);
  }

  /** Physical memory without a copy; undefined where that is not possible. */
  viewPhysical(paddr: number, length: number): Uint8Array | undefined {
    return this.#physical.view?.(paddr, length);
  }
}

/** Step over what is not mapped: the smallest page of any architecture. */
const smallestPage = 4096n;

function* runsByTranslation(translator: AddressTranslator, start: bigint, end: bigint): Generator<MappedRun> {
  for (let at = start; at < end; ) {
    const run = translator.translate(at);
    if (isMissing(run)) {
      at += smallestPage - (at % smallestPage);
      continue;
    }
    const length = Math.min(run.length, Number(end - at));
    yield { ...run, length };
    at += BigInt(length);
  }
}

export const u64At = (bytes: Uint8Array, offset: number): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset, true);
