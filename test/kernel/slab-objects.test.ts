import { expect, test } from 'vitest';
import { openKernel } from '../../src/kernel/kernel.ts';
import { slabAt } from '../../src/kernel/slab.ts';
import { cpuSlabs, keptFree, slabObjects } from '../../src/kernel/slab-objects.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeKernelMemory, words } from '../helpers/kernel.ts';

const start = 0xffff_8000_0000_0000n;
const descriptors = 0xffff_ea00_0000_0000n;
const [cache, perCpu, offsets, bases, name] = [0x100n, 0x300n, 0x400n, 0x500n, 0x600n].map(
  (at) => start + at,
);
const slab = descriptors + 64n;
const object = (index: number): bigint => start + 0x1000n + BigInt(index * 64);

/** A slab of four objects, the slab that CPU 0 has: lists of free ones of the CPU and of the slab, by their indices. */
function kernel(ofCpu: readonly number[], ofSlab: readonly number[], end = 0n) {
  const btf = new BtfBuilder();
  const long = btf.int('long unsigned int', 8);
  const int = btf.int('unsigned int', 4);
  const char = btf.pointer(btf.int('char', 1));
  btf.struct('cpumask', 8, [['bits', long, 0]]);
  btf.struct('page', 64, [['flags', long, 0]]);
  btf.struct('slab', 64, [
    ['slab_cache', long, 64],
    ['freelist', long, 128],
    ['inuse', int, 192],
    ['objects', int, 224],
    ['next', long, 256],
  ]);
  btf.struct('kmem_cache_cpu', 32, [
    ['freelist', long, 0],
    ['slab', long, 64],
    ['partial', long, 128],
  ]);
  btf.struct('kmem_cache', 128, [
    ['cpu_slab', long, 0],
    ['size', int, 64],
    ['object_size', int, 96],
    ['offset', int, 128],
    ['random', long, 192],
    ['name', char, 256],
  ]);
  const bytes = Buffer.alloc(0x2000);
  const put = (address: bigint, ...values: (bigint | number)[]): void => {
    words(...values).copy(bytes, Number(address - start));
  };
  const secret = 0x1234_5678_9abc_def0n;
  const swapped = (value: bigint): bigint => {
    const word = Buffer.alloc(8);
    word.writeBigUInt64BE(value);
    return word.readBigUInt64LE(0);
  };
  const chain = (list: readonly number[]): bigint => {
    for (const [i, each] of list.entries()) {
      const place = object(each);
      const next = i + 1 < list.length ? object(list[i + 1]!) : end;
      put(place, next ^ secret ^ swapped(place));
    }
    return list.length === 0 ? 0n : object(list[0]!);
  };
  put(cache!, perCpu!, 64n | (60n << 32n), 0, secret, name!);
  put(perCpu!, chain(ofCpu), slab);
  put(bases!, start, descriptors, 1, 16);
  bytes.write('thing\0', Number(name! - start), 'latin1');
  const map = Buffer.alloc(128);
  words(0, cache!, chain(ofSlab), (4n << 32n) | 4n).copy(map, 64);
  return openKernel(
    fakeKernelMemory({
      pieces: [
        { vaddr: start, bytes },
        { vaddr: descriptors, bytes: map },
      ],
      symbols: {
        page_offset_base: bases!,
        vmemmap_base: bases! + 8n,
        __cpu_possible_mask: bases! + 16n,
        max_pfn: bases! + 24n,
        __per_cpu_offset: offsets!,
      },
      types: btf,
    }),
  );
}

const states = (own: ReturnType<typeof kernel>) => {
  const found = slabAt(own, slab)!;
  const { objects, damaged } = slabObjects(own, found, keptFree(own, found.cache));
  return { free: objects.map(({ free, keptBy }) => (free ? (keptBy ?? 'free') : 'used')), damaged };
};

test('objects of a slab: used, free on the list of their CPU or of the slab that it has', () => {
  const own = kernel([2], [0]);
  expect(states(own)).toEqual({ free: ['cpu 0 cache', 'used', 'cpu 0 cache', 'used'], damaged: false });
  expect([...cpuSlabs(own, slabAt(own, slab)!.cache)]).toMatchObject([
    { cpu: 0, current: { descriptor: slab }, partial: [] },
  ]);
});

test('a list that leads out of its slab, or in a circle, ends there and is said', () => {
  expect(states(kernel([], [1, 3], start + 0x800n)).damaged).toBe(true);
  expect(states(kernel([], [1, 3], object(1))).damaged).toBe(true);
  expect(states(kernel([], [1, 3])).damaged).toBe(false);
});
