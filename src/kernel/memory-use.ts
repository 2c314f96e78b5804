import { known } from './core.ts';
import { counter, globalNumber } from './counters.ts';
import type { Kernel } from './kernel.ts';
import { walkList } from './list.ts';
import { swapAreas } from './swap.ts';

/** What memory is used for, in pages; undefined is what the dump does not tell. */
export type MemoryUse = {
  readonly total: number | undefined;
  readonly free: number | undefined;
  readonly buffers: number | undefined;
  readonly cached: number | undefined;
  readonly slab: number | undefined;
  readonly huge: { readonly total: number; readonly free: number } | undefined;
  readonly swap: { readonly total: number; readonly used: number };
  readonly commitLimit: number | undefined;
  readonly committed: number | undefined;
};

/** How all memory was used, in bytes: kinds in a fixed order, which add up to `total`. */
export type MemoryByKind = {
  readonly total: number;
  readonly uses: readonly { readonly kind: string; readonly bytes: number }[];
};

const number = (value: bigint | undefined): number | undefined =>
  value === undefined ? undefined : Number(value);

const totalPages = (kernel: Kernel): number | undefined =>
  number(globalNumber(kernel, '_totalram_pages') ?? globalNumber(kernel, 'totalram_pages'));

/** Since 5.9 the names say bytes; the global counters are of pages still. */
function slabPages(kernel: Kernel): number | undefined {
  const reclaimable = counter(kernel, 'NR_SLAB_RECLAIMABLE_B', 'NR_SLAB_RECLAIMABLE');
  const unreclaimable = counter(kernel, 'NR_SLAB_UNRECLAIMABLE_B', 'NR_SLAB_UNRECLAIMABLE');
  return number(reclaimable === undefined ? undefined : reclaimable + (unreclaimable ?? 0n));
}

export function memoryUse(kernel: Kernel): MemoryUse {
  const total = totalPages(kernel);
  const buffers = blockDevicePages(kernel);
  const filePages = number(counter(kernel, 'NR_FILE_PAGES'));
  const swapCache = number(counter(kernel, 'NR_SWAPCACHE')) ?? 0;
  const areas = swapAreas(kernel);
  const swap = {
    total: areas.reduce((sum, { pages }) => sum + pages, 0),
    used: areas.reduce((sum, { used }) => sum + used, 0),
  };
  const huge = hugePages(kernel);
  return {
    total,
    free: number(counter(kernel, 'NR_FREE_PAGES')),
    buffers,
    cached: filePages === undefined ? undefined : filePages - (buffers ?? 0) - swapCache,
    slab: slabPages(kernel),
    huge,
    swap,
    commitLimit: commitLimit(kernel, total, huge?.total ?? 0, swap.total),
    committed: number(
      kernel.core.global('vm_committed_as', 'percpu_counter')?.find('count')?.integer() as bigint,
    ),
  };
}

const pageShift = 12;
const pageBytes = 2 ** pageShift;

/**
 * Memory by kind. What CPUs counted last and did not add yet is not in it: a few pages.
 * @returns undefined when the kernel does not describe its counters
 */
export function memoryByKind(kernel: Kernel): MemoryByKind | undefined {
  const pages = totalPages(kernel);
  const free = counter(kernel, 'NR_FREE_PAGES');
  if (pages === undefined || free === undefined) return undefined;
  const total = pages * pageBytes;
  const counted = (name: string): number => number(counter(kernel, name)) ?? 0;
  const shared = counted('NR_SHMEM');
  const uses = [
    { kind: 'free', bytes: Number(free) * pageBytes },
    { kind: 'programs', bytes: counted('NR_ANON_MAPPED') * pageBytes },
    { kind: 'files', bytes: Math.max(0, counted('NR_FILE_PAGES') - shared) * pageBytes },
    { kind: 'shared', bytes: shared * pageBytes },
    { kind: 'slab', bytes: (slabPages(kernel) ?? 0) * pageBytes },
    { kind: 'page tables', bytes: counted('NR_PAGETABLE') * pageBytes },
    { kind: 'kernel stacks', bytes: counted('NR_KERNEL_STACK_KB') * 1024 },
  ];
  const rest = total - uses.reduce((sum, { bytes }) => sum + bytes, 0);
  return { total, uses: [...uses, { kind: 'other kernel', bytes: Math.max(0, rest) }] };
}

/** Pages of block devices themselves: what their inodes have cached. */
function blockDevicePages(kernel: Kernel): number | undefined {
  const block = globalNumber(kernel, 'blockdev_superblock');
  const type = kernel.core.type('inode');
  const link = type?.place('i_sb_list');
  if (!block || link === undefined) return undefined;
  const head = kernel.object('super_block', block).member('s_inodes').address;
  return walkList(kernel.core.memory, head).entries.reduce((sum, entry) => {
    const inode = kernel.object('inode', entry - BigInt(link.offset));
    return sum + (known(inode.member('i_data.nrpages').number()) ?? 0);
  }, 0);
}

const mostSizes = 16;

function hugePages(kernel: Kernel): { total: number; free: number } | undefined {
  const first = kernel.core.address('hstates');
  const type = kernel.core.type('hstate');
  if (first === undefined || type === undefined) return undefined;
  const count = Math.min(Number(globalNumber(kernel, 'hugetlb_max_hstate', 4) ?? 0n), mostSizes);
  let [total, free] = [0, 0];
  for (let i = 0; i < count; i++) {
    const state = kernel.object(type, first + BigInt(i * type.size));
    const order = known(state.member('order').number()) ?? 0;
    if (order > 40 - pageShift) continue;
    total += (known(state.member('nr_huge_pages').number()) ?? 0) * 2 ** order;
    free += (known(state.member('free_huge_pages').number()) ?? 0) * 2 ** order;
  }
  return { total, free };
}

/** What vm_commit_limit() computes. */
function commitLimit(
  kernel: Kernel,
  total: number | undefined,
  huge: number,
  swap: number,
): number | undefined {
  const kilobytes = number(globalNumber(kernel, 'sysctl_overcommit_kbytes'));
  const ratio = number(globalNumber(kernel, 'sysctl_overcommit_ratio', 4));
  if (total === undefined || ratio === undefined) return undefined;
  const allowed = kilobytes ? kilobytes >> (pageShift - 10) : Math.floor(((total - huge) * ratio) / 100);
  return allowed + swap;
}
