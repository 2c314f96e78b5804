import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import { isMissing, type Missing } from './memory.ts';

/** A counter of the kernel's statistics and its value. */
export type Counter = { readonly name: string; readonly value: bigint | Missing };

/** The global counters of an array (vm_zone_stat, vm_node_stat), named by the constants of their enum. */
export function counters({ core }: Kernel, symbol: string, enumeration: string): Counter[] {
  const address = core.address(symbol);
  const type = core.type(`enum ${enumeration}`);
  if (address === undefined || type === undefined) return [];
  return counterNames(core.type(`enum ${enumeration}`)!.enumerators).map(({ name, value }) => {
    const word = core.u64(address + value * 8n);
    return { name, value: isMissing(word) ? word : signed(word) };
  });
}

/** Of constants with one value the last; the number of all is no counter. */
export function counterNames(
  constants: readonly { readonly name: string; readonly value: bigint }[],
): { readonly name: string; readonly value: bigint }[] {
  const byValue = new Map(constants.map((constant) => [constant.value, constant] as const));
  return [...byValue.values()].filter(({ name }) => !/^NR_VM_\w+_ITEMS$/.test(name));
}

/** One counter of all zones or nodes; of several names the first that the kernel has. */
export function counter(kernel: Kernel, ...names: readonly string[]): bigint | undefined {
  for (const [symbol, enumeration] of [
    ['vm_zone_stat', 'zone_stat_item'],
    ['vm_node_stat', 'node_stat_item'],
  ] as const) {
    const found = counters(kernel, symbol, enumeration).find(({ name }) => names.includes(name));
    if (found !== undefined) return known(found.value);
  }
  return undefined;
}

/** A global of the kernel that is one number. */
export function globalNumber({ core }: Kernel, symbol: string, bytes: 4 | 8 = 8): bigint | undefined {
  const address = core.address(symbol);
  if (address === undefined) return undefined;
  const value = bytes === 4 ? core.i32(address) : core.u64(address);
  return isMissing(value) ? undefined : BigInt(value);
}

/** Counters that others change while they are read may be below nothing. */
const signed = (word: bigint): bigint => {
  const value = BigInt.asIntN(64, word);
  return value < 0n ? 0n : value;
};
