import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UnusedDescriptors } from '../../../src/dump/filter/vmemmap.ts';
import { isMissing, missing, VirtualMemory } from '../../../src/kernel/memory.ts';
import type { SectionMap } from '../../../src/kernel/sparsemem.ts';
import { PageBitmap } from '../../../src/lib/bitmap.ts';

const pageSize = 4096;
const pagesPerSection = 1024;
const base = 0xffff_ea00_0000_0000n;

type Mapping = { frame: number; large: boolean } | undefined;

/** A vmemmap whose pages, counted from its beginning, are mapped as `mapping` says; large ones in runs of 16 pages. */
function vmemmap(mapping: (page: number) => Mapping): VirtualMemory {
  return new VirtualMemory(
    { readInto: (paddr) => missing('hole', paddr) },
    {
      translate: (vaddr) => {
        const at = Number(vaddr - base);
        const page = Math.floor(at / pageSize);
        const mapped = mapping(page);
        if (mapped === undefined) return missing('unmapped', vaddr);
        const end = mapped.large ? (Math.floor(page / 16) + 1) * 16 : page + 1;
        return { vaddr, paddr: mapped.frame * pageSize + (at % pageSize), length: end * pageSize - at };
      },
    },
  );
}

const sectionMap = (pageStructSize: number, count: number, absent: readonly number[] = []): SectionMap => ({
  pagesPerSection,
  pageStructSize,
  bases: Array.from({ length: count }, (_, nr) => (absent.includes(nr) ? undefined : base)),
});

function selection(kept: ReadonlySet<number>, start: number, end: number): PageBitmap {
  const bitmap = new PageBitmap(end - start, undefined, start);
  for (const pfn of kept) if (pfn >= start && pfn < end) bitmap.set(pfn);
  return bitmap;
}

/** Frames that go, decided frame by frame as the sentence says it. */
function expected(memory: VirtualMemory, sections: SectionMap, maxPfn: number, kept: ReadonlySet<number>) {
  const needed = new Set<number>();
  const candidates = new Set<number>();
  const size = sections.pageStructSize;
  for (const [nr, start] of sections.bases.entries()) {
    if (start === undefined || nr * pagesPerSection >= maxPfn) continue;
    const last = Math.floor(((nr + 1) * pagesPerSection * size) / pageSize);
    for (let page = Math.ceil((nr * pagesPerSection * size) / pageSize); page < last; page++) {
      const run = memory.translate(start + BigInt(page * pageSize));
      if (isMissing(run)) continue;
      const first = Math.floor((page * pageSize) / size);
      const end = Math.ceil(((page + 1) * pageSize) / size);
      let used = false;
      for (let pfn = first; pfn < end; pfn++) used ||= kept.has(pfn);
      (used ? needed : candidates).add(run.paddr / pageSize);
    }
  }
  return [...candidates].filter((frame) => !needed.has(frame) && kept.has(frame)).sort((a, b) => a - b);
}

/** Surveys pieces of `piece` frames and gives the frames that are then cleared. */
function cleared(
  memory: VirtualMemory,
  sections: SectionMap,
  maxPfn: number,
  kept: ReadonlySet<number>,
  piece: number,
): number[] {
  const unused = new UnusedDescriptors(memory, sections, pageSize, maxPfn);
  const pieces: [number, number][] = [];
  for (let start = 0; start < maxPfn; start += piece) pieces.push([start, Math.min(maxPfn, start + piece)]);
  for (const [start, end] of pieces) unused.survey(selection(kept, start, end));
  const gone: number[] = [];
  let count = 0;
  for (const [start, end] of pieces) {
    const bitmap = selection(kept, start, end);
    count += unused.clearIn(bitmap);
    for (const pfn of kept) if (pfn >= start && pfn < end && !bitmap.has(pfn)) gone.push(pfn);
  }
  expect(count).toBe(gone.length);
  expect(unused.skipped).toBe(0);
  return gone.sort((a, b) => a - b);
}

const maxPfn = 4 * pagesPerSection - 200;
/** Frames 3000 and up hold the descriptors, page after page. */
const straight = (large: boolean) => (page: number) => ({ frame: 3000 + page, large });
const range = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, i) => start + i);

describe('frames of descriptors that go', () => {
  const sections = sectionMap(64, 4);

  test('are those that describe nothing that is kept, down to a single one', () => {
    // 64 descriptors a frame: 3001 describes 64 to 127, 3003 and 3004 describe 192 to 319.
    const kept = new Set([...range(0, 64), ...range(128, 192), ...range(320, 4096)]);
    for (const large of [true, false])
      expect(cleared(vmemmap(straight(large)), sections, 4096, kept, 4096)).toEqual([3001, 3003, 3004]);
  });

  test('may describe no memory at all, as at the end of the last section', () => {
    // 3896 to 4095 do not exist: frames 3061 to 3063 describe nothing else.
    const kept = new Set(range(0, maxPfn));
    expect(cleared(vmemmap(straight(true)), sections, maxPfn, kept, maxPfn)).toEqual([3061, 3062, 3063]);
  });

  test('are none where one descriptor of 56 bytes reaches into the next frame', () => {
    const kept = new Set(range(0, 4 * pagesPerSection).filter((pfn) => pfn < 73 || pfn > 146));
    // Frame 1 holds bytes 4096 to 8191: descriptors 73 (of which it has the end) to 146.
    const memory = vmemmap(straight(true));
    expect(cleared(memory, sectionMap(56, 4), 4 * pagesPerSection, kept, 4096)).toEqual([3001]);
    kept.add(73);
    expect(cleared(memory, sectionMap(56, 4), 4 * pagesPerSection, kept, 4096)).toEqual([]);
  });

  test('are not those that something kept is described by as well', () => {
    // As hugetlb pages have it: pages 1 to 7 of a block of eight share the frame of page 0.
    const shared = vmemmap((page) => ({ frame: 3000 + page - (page % 8), large: false }));
    const kept = new Set([...range(0, 511), ...range(1024, maxPfn)]);
    // 0 to 511 are described by frame 3000 alone, of which page 0 to 6 are needed; 512 to 1023 by 3008.
    expect(cleared(shared, sections, maxPfn, kept, maxPfn)).toEqual([3008]);
  });
});

test('in one piece or in many, of any size of descriptor: what frame by frame comes out', () => {
  const runs = fc.array(fc.tuple(fc.nat({ max: maxPfn }), fc.nat({ max: 700 })), { maxLength: 12 });
  const holes = fc.array(fc.nat({ max: 63 }), { maxLength: 8 });
  fc.assert(
    fc.property(
      runs,
      holes,
      fc.constantFrom(56, 64, 128),
      fc.constantFrom(1024, 2048, maxPfn),
      fc.boolean(),
      fc.array(fc.nat({ max: 3 }), { maxLength: 2 }),
      (dropped, unmapped, size, piece, large, absent) => {
        const kept = new Set(range(0, maxPfn));
        for (const [start, length] of dropped)
          for (const pfn of range(start, start + length)) kept.delete(pfn);
        // Of the frames that hold descriptors nothing is dropped, so that what goes can be seen.
        for (const pfn of range(3000, maxPfn)) kept.add(pfn);
        const memory = vmemmap((page) =>
          !(large && page < 16) && unmapped.includes(page)
            ? undefined
            : { frame: 3000 + (page % 800), large: large && page < 16 },
        );
        const sections = sectionMap(size, 4, absent);
        expect(cleared(memory, sections, maxPfn, kept, piece)).toEqual(
          expected(memory, sections, maxPfn, kept),
        );
      },
    ),
    { numRuns: 60 },
  );
});
