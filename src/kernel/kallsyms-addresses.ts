import { isMissing, type VirtualMemory } from './memory.ts';

/**
 * One way of storing the addresses of kallsyms. Which one a kernel uses is told by trying: the symbols that VMCOREINFO
 * exports must come out right.
 */
export type AddressEncoding = {
  readonly name: 'absolute' | 'base-relative' | 'absolute-percpu' | 'place-relative';
  /** Address of one symbol; undefined when the table cannot be read there. */
  address(index: number, memory: VirtualMemory): bigint | undefined;
  /** The same for the first `count` symbols, with one read. */
  all(count: number, memory: VirtualMemory): (index: number) => bigint | undefined;
};

/** Turns a stored value into an address. */
type Decode = (value: bigint, index: number) => bigint;

export const encodings = {
  /** kallsyms_addresses: 64-bit addresses; before 4.6, and optional until 6.11. */
  absolute: (table: bigint): AddressEncoding => encoding('absolute', table, 8, () => (value) => value),

  /** kallsyms_offsets with a base that a variable holds (4.6 to 6.19). */
  relative: (table: bigint, base: bigint): AddressEncoding[] => [
    // Everywhere but on x86 with SMP before 6.15.
    encoding('base-relative', table, 4, (memory) => {
      const from = readBase(base, memory);
      return from === undefined ? undefined : (value) => from + BigInt.asUintN(32, value);
    }),
    // There, positive values are absolute: offsets into the per-CPU area, which begins at 0.
    encoding('absolute-percpu', table, 4, (memory) => {
      const from = readBase(base, memory);
      return from === undefined ? undefined : (value) => (value >= 0n ? value : from - 1n - value);
    }),
  ],

  /** kallsyms_offsets counted from their own places (7.0 and later). */
  place: (table: bigint): AddressEncoding =>
    encoding('place-relative', table, 4, () => (value, index) => table + BigInt(4 * index) + value),
};

function encoding(
  name: AddressEncoding['name'],
  table: bigint,
  width: 4 | 8,
  prepare: (memory: VirtualMemory) => Decode | undefined,
): AddressEncoding {
  const valueAt = (view: DataView, index: number): bigint =>
    width === 4 ? BigInt(view.getInt32(index * 4, true)) : view.getBigUint64(index * 8, true);
  const read = (first: number, count: number, memory: VirtualMemory): DataView | undefined => {
    const bytes = memory.read(table + BigInt(width * first), width * count);
    return isMissing(bytes) ? undefined : new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  };
  return {
    name,
    address(index, memory) {
      const view = read(index, 1, memory);
      const decode = prepare(memory);
      return view && decode && BigInt.asUintN(64, decode(valueAt(view, 0), index));
    },
    all(count, memory) {
      const view = read(0, count, memory);
      const decode = prepare(memory);
      return (index) =>
        view && decode && index < count ? BigInt.asUintN(64, decode(valueAt(view, index), index)) : undefined;
    },
  };
}

function readBase(address: bigint, memory: VirtualMemory): bigint | undefined {
  const bytes = memory.read(address, 8);
  return isMissing(bytes) ? undefined : Buffer.from(bytes).readBigUInt64LE(0);
}
