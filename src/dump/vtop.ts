import { isMissing, type VirtualMemory } from '../kernel/memory.ts';
import { KdumpError } from '../lib/errors.ts';

/** How a virtual address is translated; plain JSON, addresses as "0x…". */
export type AddressWalk = {
  readonly virtual: string;
  /** Page-table entries from the root to the leaf, or to where the way ends. */
  readonly levels: readonly {
    readonly name: string;
    /** Physical address of the entry. */
    readonly address: string;
    /** Null when the table is not in the dump. */
    readonly entry: string | null;
  }[];
  /** Null when nothing is mapped there. */
  readonly physical: string | null;
  /** Why there is no physical address. */
  readonly why: string | null;
};

/**
 * An address as strtoul(3) with base 0 reads it: 0x for hexadecimal, a leading 0 for octal, else decimal.
 * @throws KdumpError `usage`
 */
export function parseAddress(text: string, option: string): bigint {
  const value = /^0x[0-9a-f]+$/i.test(text)
    ? BigInt(text)
    : /^0[0-7]*$/.test(text)
      ? BigInt(`0o${text}`)
      : /^[1-9]\d*$/.test(text)
        ? BigInt(text)
        : undefined;
  if (value === undefined || value > 0xffff_ffff_ffff_ffffn) {
    const fix = /^[0-9a-f]+$/i.test(text) ? { fix: `A hexadecimal address begins with 0x: 0x${text}.` } : {};
    throw new KdumpError('usage', `option '${option}': '${text}' is not a 64-bit address`, fix);
  }
  return value;
}

/** Walks the kernel's page tables to `virtual`. */
export function walkAddress(memory: VirtualMemory, virtual: bigint): AddressWalk {
  const steps = memory.walkSteps(virtual);
  const run = memory.translate(virtual);
  const last = steps.at(-1);
  let why: string | null = null;
  if (isMissing(run)) {
    if (last === undefined) why = run.missing;
    else if (last.entry === undefined) why = `the table that holds the ${last.name} entry is not in the dump`;
    else why = `the ${last.name} entry maps nothing`;
  }
  return {
    virtual: hex(virtual),
    levels: steps.map((step) => ({
      name: step.name,
      address: hex(step.address),
      entry: step.entry === undefined ? null : hex(step.entry),
    })),
    physical: isMissing(run) ? null : hex(run.paddr),
    why,
  };
}

/** What `makedumpfile --vtop` prints: the entry of every level, then the two addresses; all ones for none. */
export function formatWalk(walk: AddressWalk): string {
  const bare = (address: string | null): string => (address === null ? '?' : address.slice(2));
  return [
    '',
    `Translating virtual address ${bare(walk.virtual)} to physical address.`,
    ...walk.levels.map(
      ({ name, address, entry }) =>
        `  ${name} : ${bare(address).padStart(16)} => ${bare(entry).padStart(16)}`,
    ),
    ...(walk.why === null ? [] : [`  Not mapped: ${walk.why}.`]),
    'VIRTUAL           PHYSICAL',
    `${bare(walk.virtual).padStart(16)}  ${walk.physical === null ? 'f'.repeat(16) : bare(walk.physical)}`,
    '',
    '',
  ].join('\n');
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
