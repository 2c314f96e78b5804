import type { CType } from '../../kernel/ctype.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { nameOf } from './declaration.ts';

/** Slab caches whose objects are structures of another name. */
const structures: Readonly<Record<string, string>> = { filp: 'file', signal_cache: 'signal_struct' };
const maxDepth = 16;

/**
 * Why what is shown of a structure at an address is likely to be garbage: the address is that of an object of another
 * kind. Undefined when nothing speaks against it.
 */
export function misreading(kernel: Kernel, type: CType, address: bigint): string | undefined {
  const { kind, name } = type.bare;
  if (kind !== 'struct' || name === '' || address >> 63n === 0n) return undefined;
  const found = kernel.memoryMap.objectAt(address);
  // Members of a structure may be asked for by their own addresses.
  if (found === undefined || found.address !== address) return undefined;
  const own = structures[found.cache] ?? found.cache;
  const object = kernel.type(`struct ${own}`);
  if (object === undefined || beginsWith(object, name, 0)) return undefined;
  // Caches of one size may share their slabs under the name of one of them.
  return `0x${address.toString(16)} is an object of the slab cache ${found.cache}, most likely a ${nameOf(object.bare)}: shown as a ${nameOf(type.bare)} it may be garbage`;
}

/** Whether a structure is of a name, or what it begins with is. */
function beginsWith(type: CType, name: string, depth: number): boolean {
  if (type.bare.name === name) return true;
  if (depth === maxDepth) return false;
  return type.bare.members.some(
    ({ bitOffset, type: member }) => bitOffset === 0 && beginsWith(member, name, depth + 1),
  );
}
