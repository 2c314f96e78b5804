import { expect, test } from 'vitest';
import { openKernel } from '../../src/kernel/kernel.ts';
import { slabCaches, slabCounts } from '../../src/kernel/slab.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeKernelMemory, words } from '../helpers/kernel.ts';

const start = 0xffff_8000_0000_0000n;
const [heads, cache, node, text] = [start, start + 64n, start + 256n, start + 512n];

/** One cache of one node, the list of whose slabs is empty. */
function kernel(next: bigint) {
  const btf = new BtfBuilder();
  const long = btf.int('long unsigned int', 8);
  const int = btf.int('int', 4);
  const counter = btf.struct('atomic_long_t', 8, [['counter', long, 0]]);
  const list = btf.struct('list_head', 16, [
    ['next', long, 0],
    ['prev', long, 64],
  ]);
  const perNode = btf.struct('kmem_cache_node', 48, [
    ['partial', list, 0],
    ['nr_slabs', counter, 128],
    ['total_objects', counter, 192],
  ]);
  btf.struct('slab', 64, [
    ['slab_cache', long, 0],
    ['slab_list', list, 64],
  ]);
  btf.struct('kmem_cache', 64, [
    ['list', list, 0],
    ['name', btf.pointer(btf.int('char', 1)), 128],
    ['size', int, 192],
    ['object_size', int, 224],
    ['node', btf.array(btf.pointer(perNode), 1), 256],
  ]);
  const bytes = Buffer.alloc(4096);
  words(cache, cache).copy(bytes, 0);
  words(next, heads, text, 0x98_0000_00a0n, node).copy(bytes, Number(cache - start));
  words(node, node, 3, 60).copy(bytes, Number(node - start));
  bytes.write('dentry\0', Number(text - start), 'latin1');
  return openKernel(
    fakeKernelMemory({ pieces: [{ vaddr: start, bytes }], symbols: { slab_caches: heads }, types: btf }),
  );
}

test('a cache with its counts', () => {
  const own = kernel(heads);
  const { caches, damage } = slabCaches(own);
  expect(damage).toBeUndefined();
  expect(caches).toMatchObject([{ name: 'dentry', objectSize: 0x98, stride: 0xa0 }]);
  expect(slabCounts(own, caches[0]!)).toEqual({ slabs: 3, total: 60, allocated: 60 });
});

test('a list that is damaged gives what can be reached', () => {
  const { caches, damage } = slabCaches(kernel(0xffff_9000_0000_0000n));
  expect(caches.map(({ name }) => name)).toEqual(['dentry']);
  expect(damage?.reason).toBe('missing');
});
