import { expect, test } from 'vitest';
import { openKernel } from '../../src/kernel/kernel.ts';
import { memoryByKind } from '../../src/kernel/memory-use.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeKernelMemory, words } from '../helpers/kernel.ts';

const start = 0xffff_8000_0000_0000n;

function kernel(slab: string) {
  const btf = new BtfBuilder();
  btf.enum('zone_stat_item', { NR_FREE_PAGES: 0, NR_VM_ZONE_STAT_ITEMS: 1 });
  btf.enum('node_stat_item', {
    NR_ANON_MAPPED: 0,
    NR_FILE_PAGES: 1,
    NR_SHMEM: 2,
    [`NR_SLAB_RECLAIMABLE${slab}`]: 3,
    [`NR_SLAB_UNRECLAIMABLE${slab}`]: 4,
    NR_KERNEL_STACK_KB: 5,
  });
  const bytes = Buffer.alloc(4096);
  words(1000, 400).copy(bytes);
  words(100, 50, 20, 10, 5, 64).copy(bytes, 64);
  const symbols = { _totalram_pages: start, vm_zone_stat: start + 8n, vm_node_stat: start + 64n };
  return openKernel(fakeKernelMemory({ pieces: [{ vaddr: start, bytes }], symbols, types: btf }));
}

test.each(['_B', ''])('kinds add up to all memory, whatever slab counters are called', (slab) => {
  const { total, uses } = memoryByKind(kernel(slab))!;
  expect(total).toBe(1000 * 4096);
  expect(Object.fromEntries(uses.map(({ kind, bytes }) => [kind, bytes / 4096]))).toEqual({
    free: 400,
    programs: 100,
    files: 30,
    shared: 20,
    slab: 15,
    'page tables': 0,
    'kernel stacks': 16,
    'other kernel': 419,
  });
});

test('a kernel that does not describe its counters tells nothing', () => {
  expect(memoryByKind(openKernel(fakeKernelMemory({})))).toBeUndefined();
});
