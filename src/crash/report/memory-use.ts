import { known } from '../../kernel/core.ts';
import type { Kernel } from '../../kernel/kernel.ts';

/** Bytes of memory of one kind. */
export type MemoryUse = { readonly kind: string; readonly bytes: number };

/** How all memory was used, kinds in a fixed order; they add up to `total`. */
export type MemoryPart = { readonly total: number; readonly uses: readonly MemoryUse[] };

const pageBytes = 4096;
const arrays = [
  ['zone_stat_item', 'vm_zone_stat'],
  ['node_stat_item', 'vm_node_stat'],
] as const;

/**
 * Memory by kind, from the kernel's own counters. What CPUs counted last and did not add yet is not in them: a few pages.
 * @returns undefined when the kernel does not describe its counters
 */
export function memoryUse(kernel: Kernel): MemoryPart | undefined {
  const { core } = kernel;
  const totalAt = kernel.symbol('_totalram_pages') ?? kernel.symbol('totalram_pages');
  const pages = totalAt === undefined ? undefined : known(core.u64(totalAt.address));
  if (core.btf === undefined || pages === undefined) return undefined;
  const total = Number(pages) * pageBytes;
  // Some moved from one array to the other; the enum that names an item tells which it is in.
  const counter = (item: string): number => {
    for (const [type, array] of arrays) {
      const index = kernel.type(`enum ${type}`)?.enumerators.find(({ name }) => name === item)?.value;
      const start = kernel.symbol(array)?.address;
      if (index === undefined || start === undefined) continue;
      return Math.max(0, Number(BigInt.asIntN(64, known(core.u64(start + 8n * index)) ?? 0n)));
    }
    return 0;
  };
  const pagesOf = (item: string): number => counter(item) * pageBytes;
  const counted = [
    { kind: 'free', bytes: pagesOf('NR_FREE_PAGES') },
    { kind: 'programs', bytes: pagesOf('NR_ANON_MAPPED') },
    { kind: 'files', bytes: Math.max(0, pagesOf('NR_FILE_PAGES') - pagesOf('NR_SHMEM')) },
    { kind: 'shared', bytes: pagesOf('NR_SHMEM') },
    { kind: 'slab', bytes: pagesOf('NR_SLAB_RECLAIMABLE_B') + pagesOf('NR_SLAB_UNRECLAIMABLE_B') },
    { kind: 'page tables', bytes: pagesOf('NR_PAGETABLE') },
    { kind: 'kernel stacks', bytes: counter('NR_KERNEL_STACK_KB') * 1024 },
  ];
  const rest = total - counted.reduce((sum, { bytes }) => sum + bytes, 0);
  return { total, uses: [...counted, { kind: 'other kernel', bytes: Math.max(0, rest) }] };
}
