import { expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { type Kernel, openKernel } from '../../src/kernel/kernel.ts';
import { describedFrames, headOf, pageOf, physicalOfPage } from '../../src/kernel/page-of.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { fakeKernelMemory, words } from '../helpers/kernel.ts';

const directMap = 0xffff_8880_0000_0000n;
const vmemmap = 0xffff_ea00_0000_0000n;
const data = 0xffff_ffff_8000_0000n;
const [cacheAt, nameAt] = [data + 256n, data + 512n];
const slabType = 0xf500_0000;
const anonymous = 0xffff_8880_1234_5001n;

const info = `OSRELEASE=6.6.6
SIZE(page)=64
OFFSET(page.flags)=0
OFFSET(page.compound_head)=8
OFFSET(page.mapping)=24
OFFSET(page.private)=40
OFFSET(page._mapcount)=48
LENGTH(zone.free_area)=11
NUMBER(PG_head_mask)=64
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456
NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=${slabType | 0}
`;

/**
 * Pages 0 to 7: 2 and 3 are one slab, with objects of 0xa0 bytes behind a red zone of 0x40; 4 is a program's, 5 is free,
 * 6 the kernel's own. @param tail what page 3 says of its head
 */
function kernel(tail = vmemmap + 2n * 64n + 1n): Kernel {
  const btf = new BtfBuilder();
  const long = btf.int('unsigned long', 8);
  const int = btf.int('int', 4);
  const short = btf.int('short', 2);
  const cache = btf.struct('kmem_cache', 32, [
    ['name', btf.pointer(btf.int('char', 1)), 0],
    ['size', int, 64],
    ['object_size', int, 96],
    ['red_left_pad', int, 128],
  ]);
  btf.struct('slab', 64, [
    ['slab_cache', btf.pointer(cache), 64],
    ['inuse', short, 256, 16],
    ['objects', short, 272, 15],
  ]);
  btf.struct('page', 64, [
    ['compound_head', long, 64],
    ['mapping', long, 192],
    ['_mapcount', int, 384],
  ]);
  const pages = Buffer.alloc(4096);
  for (let pfn = 0; pfn < 8; pfn++) pages.writeUInt32LE(0xffff_ffff, pfn * 64 + 48);
  words(0, cacheAt).copy(pages, 2 * 64);
  pages.writeUInt32LE((50 << 16) | 7, 2 * 64 + 32);
  pages.writeUInt32LE(slabType, 2 * 64 + 48);
  words(0, tail).copy(pages, 3 * 64);
  words(0, 0, 0, anonymous).copy(pages, 4 * 64);
  pages.writeUInt32LE(0xf000_0000, 5 * 64 + 48);
  const variables = Buffer.alloc(4096);
  words(directMap, directMap + 2n ** 30n, vmemmap, 64).copy(variables);
  words(nameAt, (0x98n << 32n) | 0xa0n, 0x40).copy(variables, 256);
  variables.write('filp\0', 512, 'latin1');
  const memory = fakeKernelMemory({
    pieces: [
      { vaddr: vmemmap, bytes: pages },
      { vaddr: data, bytes: variables },
    ],
    symbols: {
      page_offset_base: data,
      vmalloc_base: data + 8n,
      vmemmap_base: data + 16n,
      max_pfn: data + 24n,
    },
    types: btf,
  });
  return openKernel({ ...memory, knowledge: { ...memory.knowledge, info: new Vmcoreinfo(info) } });
}

const page = (pfn: number): bigint => directMap + BigInt(pfn) * 4096n;

test('pages by their descriptors', () => {
  const { memoryMap } = kernel();
  expect([4, 5, 6].map((pfn) => memoryMap.pageAt(page(pfn)))).toEqual([
    { pfn: 4, kind: 'anonymous', object: undefined },
    { pfn: 5, kind: 'free', object: undefined },
    { pfn: 6, kind: 'kernel', object: undefined },
  ]);
  expect(memoryMap.pageAt(page(64))).toBeUndefined();
  expect(memoryMap.pageAt(directMap + 2n ** 30n)).toBeUndefined();
});

test.each([
  ['a pointer', vmemmap + 2n * 64n + 1n],
  ['a mask of its own address', (1n << 64n) - 128n + 1n],
])('objects of a slab, whose second page knows its head by %s', (_, tail) => {
  const { memoryMap } = kernel(tail);
  const first = page(2) + 0x40n;
  const filp = { cache: 'filp', size: 0xa0 };
  expect(memoryMap.objectAt(first + 0x9fn)).toMatchObject({ ...filp, address: first });
  expect(memoryMap.objectAt(page(3))).toMatchObject({ ...filp, address: first + 25n * 0xa0n });
  expect(memoryMap.objectAt(first - 1n)).toBeUndefined();
  expect(memoryMap.objectAt(first + 50n * 0xa0n)).toBeUndefined();
  expect(memoryMap.objectAt(first)?.slab).toMatchObject({ objects: 50, inUse: 7 });
});

test('descriptors and their pages, both ways', () => {
  const own = kernel();
  const tail = pageOf(own, 3 * 4096 + 5);
  expect(tail.address).toBe(vmemmap + 192n);
  expect(headOf(tail)).toBe(vmemmap + 128n);
  expect(physicalOfPage(own, tail.address)).toBe(0x3000n);
  expect(physicalOfPage(own, tail.address + 1n)).toBeUndefined();
  expect([...describedFrames(own)]).toEqual(Array.from({ length: 64 }, (_, pfn) => pfn));
});

test('a kernel that does not describe its pages has none', () => {
  const { memoryMap } = openKernel(fakeKernelMemory({}));
  expect(memoryMap.pageAt(page(2))).toBeUndefined();
});
