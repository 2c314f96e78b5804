import { expect, test } from 'vitest';
import { type Census, descriptorBytes, MemoryMap, sectionPages, vmemmap } from '../../bench/memory-map.ts';
import { PG, type612 } from '../helpers/vmcore.ts';

const shares = { free: 100, huge: 150, cache: 250, mixed: 400, kernel: 124 };

/** What a dump level makes of each page, read page by page from the bytes; a compound page must be whole. */
function census(section: Uint32Array, firstPfn: number): Census {
  const bytes = Buffer.from(section.buffer);
  const counted: Census = { free: 0, cache: 0, cachePrivate: 0, user: 0, kept: 0 };
  for (let page = 0; page < sectionPages; ) {
    const at = page * descriptorBytes;
    const flags = bytes.readUInt32LE(at);
    const type = bytes.readUInt32LE(at + 48);
    const isAnon = (bytes.readUInt32LE(at + 24) & 1) === 1;
    let pages = 1;
    if (type === type612.buddy) pages = 2 ** bytes.readUInt32LE(at + 40);
    else if (flags & (1 << PG.head)) {
      pages = 2 ** (bytes.readUInt32LE(at + descriptorBytes) & 0xff);
      const head = vmemmap + BigInt((firstPfn + page) * descriptorBytes);
      for (let tail = 1; tail < pages; tail++)
        expect(bytes.readBigUInt64LE(at + tail * descriptorBytes + 8)).toBe(head | 1n);
    }
    expect((firstPfn + page) % pages, 'blocks are aligned').toBe(0);
    if (type === type612.buddy) counted.free += pages;
    else if (isAnon) counted.user += pages;
    else if (!(flags & (1 << PG.lru))) counted.kept += pages;
    else counted[flags & (1 << PG.private) ? 'cachePrivate' : 'cache'] += pages;
    page += pages;
  }
  return counted;
}

test('the pages of a section are what its census says', () => {
  for (const firstPfn of [0, 5 * sectionPages, 400_000 * sectionPages]) {
    const map = new MemoryMap(shares, true, 12345);
    const section = map.describe(firstPfn, (pfn) => pfn === firstPfn);
    expect(census(section, firstPfn)).toEqual(map.census);
    for (const pages of Object.values(map.census)) expect(pages).toBeGreaterThan(0);
    expect(section[13], 'the first pageblock is in use').toBe(1);
  }
});

test('without compound pages no descriptor depends on where it is mapped', () => {
  const map = new MemoryMap(shares, false, 777);
  const section = map.describe(0, () => false);
  expect(census(section, 0)).toEqual(map.census);
  for (let page = 0; page < sectionPages; page++) {
    expect(section[page * 16]! & (1 << PG.head)).toBe(0);
    expect(section[page * 16 + 2]! & 1).toBe(0);
  }
});

test('the same seed gives the same memory, another seed another', () => {
  const describe = (seed: number) => Buffer.from(new MemoryMap(shares, true, seed).describe(0, () => false));
  expect(describe(1).equals(describe(1))).toBe(true);
  expect(describe(1).equals(describe(2))).toBe(false);
});
