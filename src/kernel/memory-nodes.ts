import { known } from './core.ts';
import type { Kernel } from './kernel.ts';

/** A memory node: its number, and the address of its struct pglist_data. */
export type MemoryNode = { readonly index: number; readonly address: bigint };

const mostNodes = 1024;

/** All memory nodes: one alone, or those of a table. */
export function* memoryNodes({ core }: Kernel): Generator<MemoryNode> {
  const only = core.address('contig_page_data');
  if (only !== undefined) yield { index: 0, address: only };
  const table = only === undefined ? core.address('node_data') : undefined;
  for (let index = 0; table !== undefined && index < mostNodes; index++) {
    const address = known(core.u64(table + BigInt(8 * index)));
    if (!address) return;
    yield { index, address };
  }
}
