import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { typesOfBtf } from '../../src/kernel/btf-types.ts';
import { KernelCore } from '../../src/kernel/core.ts';
import type { Kallsyms, KernelSymbol } from '../../src/kernel/kallsyms.ts';
import type { KernelMemory } from '../../src/kernel/open.ts';
import type { BtfBuilder } from './btf.ts';
import { type Piece, pieceMemory } from './piece-memory.ts';

/** A kernel that never ran: pieces of memory, symbols and types. */
export type KernelSpec = {
  readonly pieces?: readonly Piece[];
  /** Physical pages that the dump lacks. */
  readonly lost?: ReadonlySet<number>;
  readonly symbols?: Readonly<Record<string, bigint>>;
  readonly types?: BtfBuilder;
};

export function fakeKernelMemory({ pieces = [], lost, symbols = {}, types }: KernelSpec): KernelMemory {
  const info = new Vmcoreinfo('OSRELEASE=6.6.6\n');
  return {
    memory: pieceMemory(pieces, lost),
    physBase: 0n,
    utsname: undefined,
    doubt: undefined,
    knowledge: {
      symbols: fakeKallsyms(symbols),
      types: types === undefined ? undefined : typesOfBtf(types.bytes(), 'test'),
      info,
    },
  };
}

export const fakeCore = (spec: KernelSpec): KernelCore => new KernelCore(fakeKernelMemory(spec));

export function fakeKallsyms(symbols: Readonly<Record<string, bigint>>): Kallsyms {
  const sorted = Object.entries(symbols)
    .map(([name, address]): KernelSymbol => ({ name, address, type: 'T' }))
    .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  return {
    length: sorted.length,
    address: (name) => symbols[name],
    addresses: (name) => (symbols[name] === undefined ? [] : [symbols[name]]),
    entries: () => sorted,
    at: (index) => sorted[index],
    indexOf: (address) => sorted.filter((symbol) => symbol.address <= address).length - 1,
  };
}

/** Bytes of 64-bit words. */
export function words(...values: readonly (bigint | number)[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), i * 8);
  return bytes;
}
