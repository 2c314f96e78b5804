import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlattenedBytes } from '../../../src/dump/input/flattened.ts';
import { KdumpSource } from '../../../src/dump/input/kdump-source.ts';
import type { PageReader } from '../../../src/dump/input/source.ts';
import { PageBitmap } from '../../../src/lib/bitmap.ts';
import { flatten, memoryBytes } from '../../helpers/bytes.ts';
import { buildKdump, type KdumpOptions } from '../../helpers/kdump-builder.ts';
import { noisePage, pageSize, textPage } from '../../helpers/vmcore.ts';

const open = (options: KdumpOptions): KdumpSource => new KdumpSource([memoryBytes(buildKdump(options))]);

const page = (pfn: number): Buffer =>
  pfn % 5 === 0 ? Buffer.alloc(pageSize) : pfn % 3 === 0 ? noisePage(pfn) : textPage(pfn);
const pagesOf = (pfns: readonly number[]): Map<number, Buffer> =>
  new Map(pfns.map((pfn) => [pfn, page(pfn)]));

const loaded = (reader: PageReader): Buffer => reader.bytes.subarray(reader.at, reader.at + pageSize);

/** Page frames of a dump and of those beside it, sorted. */
const frames = fc.uniqueArray(fc.nat(999), { maxLength: 60 }).map((list) => list.sort((a, b) => a - b));

describe('pages', () => {
  test('are what was stored, others say why they are not', () => {
    fc.assert(
      fc.property(frames, frames, fc.boolean(), fc.nat(1), (stored, others, compress, dumpLevel) => {
        const excluded = others.filter((pfn) => !stored.includes(pfn));
        const source = open({ maxMapnr: 1000, pages: pagesOf(stored), excluded, compress, dumpLevel });
        const reader = source.pages(pageSize);
        for (let pfn = 0; pfn < 1010; pfn++) {
          const missing = reader.load(pfn);
          if (stored.includes(pfn)) {
            expect(missing).toBeUndefined();
            expect(loaded(reader).equals(page(pfn))).toBe(true);
          } else {
            expect(missing).toBe(excluded.includes(pfn) ? 'excluded' : 'hole');
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  test('in any order, and in reads that cross them', () => {
    const stored = Array.from({ length: 300 }, (_, i) => i + 10);
    const source = open({
      maxMapnr: 400,
      pages: pagesOf(stored),
      excluded: [350],
      compress: true,
      dumpLevel: 1,
    });
    const memory = Buffer.concat(Array.from({ length: 310 }, (_, pfn) => page(pfn)));
    fc.assert(
      fc.property(
        fc.integer({ min: 10 * pageSize, max: 310 * pageSize - 1 }),
        fc.nat(20000),
        (from, size) => {
          const length = Math.min(size, 310 * pageSize - from);
          const target = Buffer.alloc(length, 0xee);
          expect(source.readInto(from, target)).toBeUndefined();
          expect(target.equals(memory.subarray(from, from + length))).toBe(true);
        },
      ),
    );
    expect(source.readInto(309 * pageSize + 100, Buffer.alloc(pageSize))).toEqual({
      missing: 'hole',
      address: `0x${(310 * pageSize).toString(16)}`,
    });
    expect(source.readInto(350 * pageSize, Buffer.alloc(1))?.missing).toBe('excluded');
    expect(source.readInto(5000 * pageSize, Buffer.alloc(1))?.missing).toBe('hole');
  });

  test('more than one piece of a bitmap', () => {
    const pfns = [0, 7, 8, 262143, 262144, 262145, 300001, 524287, 524288, 599999];
    const source = open({ maxMapnr: 600000, pages: pagesOf(pfns), compress: true });
    const reader = source.pages(pageSize);
    for (const pfn of [...pfns, ...pfns.toReversed()]) {
      expect(reader.load(pfn)).toBeUndefined();
      expect(loaded(reader).equals(page(pfn))).toBe(true);
    }
    expect(reader.load(262146)).toBe('hole');
    expect(source.parts[0]!.stored.count).toBe(pfns.length);
  });
});

describe('bitmaps', () => {
  test('of any range of page frames', () => {
    fc.assert(
      fc.property(frames, frames, fc.nat(100), fc.nat(1200), (stored, others, eighth, length) => {
        const excluded = others.filter((pfn) => !stored.includes(pfn));
        const source = open({ maxMapnr: 1000, pages: pagesOf(stored), excluded });
        const first = eighth * 8;
        const present = new PageBitmap(length, undefined, first);
        source.markPresent(present, pageSize);
        const kept = new PageBitmap(length, undefined, first);
        kept.setRange(first, first + length);
        source.clearMissing(kept, pageSize);
        for (let pfn = first; pfn < first + length; pfn++) {
          expect(present.has(pfn)).toBe(stored.includes(pfn) || excluded.includes(pfn));
          expect(kept.has(pfn)).toBe(stored.includes(pfn));
        }
        expect(present.count()).toBe([...stored, ...excluded].filter(inRange(first, length)).length);
        expect(kept.count()).toBe(stored.filter(inRange(first, length)).length);
      }),
      { numRuns: 100 },
    );
  });

  const inRange = (first: number, length: number) => (pfn: number) => pfn >= first && pfn < first + length;

  test('one that serves both purposes', () => {
    // With one page frame more than a block's worth, one bitmap has two blocks, two have four.
    const source = open({ maxMapnr: 40000, pages: pagesOf([3, 39999]), oneBitmap: true, version: 1 });
    const reader = source.pages(pageSize);
    expect(reader.load(3)).toBeUndefined();
    expect(reader.load(39999)).toBeUndefined();
    expect(loaded(reader).equals(page(39999))).toBe(true);
    expect(reader.load(4)).toBe('hole');
  });
});

describe('headers', () => {
  const pages = pagesOf([1, 2]);

  test.each([0, 1, 2, 3, 4, 5, 6])('version %d: what is newer is absent', (version) => {
    const source = open({ version, maxMapnr: 100, pages, dumpLevel: 1, eraseinfo: 'erase x size 1\n' });
    expect(source.maxPfn(pageSize)).toBe(100);
    expect(source.made.dumpLevel).toBe(version >= 1 ? 1 : 0);
    expect(source.vmcoreinfo?.osrelease).toBe(version >= 3 ? '6.12.0-test' : undefined);
    expect(source.cpuCount).toBe(version >= 4 ? 2 : 0);
    expect(Buffer.from(source.made.eraseinfo).toString()).toBe(version >= 5 ? 'erase x size 1\n' : '');
    const text = source.notes.subarray(
      source.vmcoreinfoOffset,
      source.vmcoreinfoOffset + source.vmcoreinfoSize,
    );
    expect(Buffer.from(text).toString()).toBe(version >= 3 ? 'OSRELEASE=6.12.0-test\nPAGESIZE=4096\n' : '');
    const reader = source.pages(pageSize);
    expect(reader.load(1)).toBeUndefined();
    expect(loaded(reader).equals(page(1))).toBe(true);
  });

  test('tell of the machine', () => {
    const source = open({ maxMapnr: 100, pages, status: 8 });
    expect(source.arch?.name).toBe('x86_64');
    expect(source.made).toMatchObject({ crashTime: 1700000000, status: 8, cpuCount: 2, physBase: 0x100000n });
    expect(open({ maxMapnr: 100, pages, machine: '' }).arch).toBeUndefined();
  });

  test('a kernel of other pages is refused', () => {
    const source = open({ maxMapnr: 100, pages });
    for (const use of [
      () => source.maxPfn(65536),
      () => source.pages(65536),
      () => source.markPresent(new PageBitmap(8), 65536),
    ])
      expect(use).toThrow(/block_size is 4096 and the kernel's pages have 65536 bytes/);
  });

  const broken: [string, number, number, RegExp][] = [
    ['signature', 0, 0, /found "\\u0000DUMP/],
    ['version', 8, -5, /header_version is -5/],
    ['block size', 428, 4097, /block_size is 4097/],
    ['block size', 428, 0, /block_size is 0/],
    ['sub header', 432, 0, /sub_hdr_size is 0/],
    ['sub header', 432, 0x7000_0000, /reach to offset \d+, but the file ends at/],
    ['bitmaps', 436, 0, /bitmap_blocks is 0, 100 page frames need 1/],
    ['bitmaps', 436, 0x7000_0000, /reach to offset \d+, but the file ends at/],
    ['max_mapnr_64', pageSize + 96, 0x7000_0000, /bitmap_blocks is 2/],
    ['max_mapnr_64', pageSize + 100, 0x7000_0000, /is beyond 2\^53/],
    ['max_mapnr_64', pageSize + 100, 0x1000, /max_mapnr is \d+, physical memory has at most/],
  ];
  test.each(broken)('a damaged %s at %d is told', (_, at, value, message) => {
    const bytes = buildKdump({ maxMapnr: 100, pages });
    if (at === 0) bytes[0] = 0;
    else bytes.writeInt32LE(value, at);
    expect(() => new KdumpSource([memoryBytes(bytes, '/dump')])).toThrow(message);
    expect(() => new KdumpSource([memoryBytes(bytes, '/dump')])).toThrow(/^\/dump: /);
  });

  test('damaged notes cost the notes only', () => {
    for (const at of [pageSize + 48, pageSize + 56, pageSize + 32, pageSize + 40]) {
      const bytes = buildKdump({ maxMapnr: 100, pages });
      bytes.writeUInt32LE(0x7000_0000, at);
      expect(new KdumpSource([memoryBytes(bytes)]).pages(pageSize).load(1)).toBeUndefined();
    }
  });
});

describe('damage', () => {
  const stored = [1, 2, 3, 4];
  const damaged: [string, (d: [number, number, number]) => [number, number, number]][] = [
    ['never written', () => [0, 0, 0]],
    ['beyond the end', ([, size, flags]) => [2 ** 40, size, flags]],
    ['within the headers', ([, size, flags]) => [512, size, flags]],
    ['of size 0', ([offset, , flags]) => [offset, 0, flags]],
    ['larger than a page', ([offset]) => [offset, pageSize + 1, 0]],
    ['raw and short', ([offset]) => [offset, 100, 0]],
    ['of no codec', ([offset, size]) => [offset, size, 0x40]],
    ['of two codecs', ([offset, size]) => [offset, size, 3]],
    ['of another codec', ([offset, size]) => [offset, size, 2]],
    ['cut', ([offset, size, flags]) => [offset, size - 3, flags]],
  ];
  test.each(damaged)('a descriptor %s', (_, change) => {
    const source = open({
      maxMapnr: 10,
      pages: pagesOf(stored),
      compress: true,
      describe: (pfn, descriptor) => (pfn === 2 ? change(descriptor) : descriptor),
    });
    const reader = source.pages(pageSize);
    for (const pfn of stored) {
      expect(reader.load(pfn)).toBe(pfn === 2 ? 'truncated' : undefined);
      if (pfn !== 2) expect(loaded(reader).equals(page(pfn))).toBe(true);
    }
    expect(source.readInto(2 * pageSize, Buffer.alloc(8))?.missing).toBe('truncated');
  });

  test('a file that ends early has the pages before', () => {
    const bytes = buildKdump({ maxMapnr: 10, pages: pagesOf(stored) });
    const source = new KdumpSource([memoryBytes(bytes.subarray(0, -pageSize - 1))]);
    const reader = source.pages(pageSize);
    expect(stored.map((pfn) => reader.load(pfn))).toEqual([undefined, undefined, 'truncated', 'truncated']);
  });

  test('a hole of a flattened stream is no page of zeros', () => {
    const bytes = buildKdump({ maxMapnr: 10, pages: pagesOf(stored) });
    const end = bytes.length - 2 * pageSize;
    const stream = flatten(
      [
        { offset: 0, bytes: bytes.subarray(0, end) },
        { offset: end + pageSize, bytes: bytes.subarray(end + pageSize) },
      ],
      false,
    );
    const reader = new KdumpSource([new FlattenedBytes(memoryBytes(stream))]).pages(pageSize);
    expect(stored.map((pfn) => reader.load(pfn))).toEqual([undefined, undefined, 'truncated', undefined]);
  });
});

describe('a split set', () => {
  const stored = Array.from({ length: 200 }, (_, i) => i * 3);
  const part = (start: number, end: number, more: Partial<KdumpOptions> = {}): Buffer =>
    buildKdump({
      maxMapnr: 640,
      pages: pagesOf(stored),
      compress: true,
      dumpLevel: 1,
      split: { start, end },
      ...more,
    });
  const files = (...parts: Buffer[]) => parts.map((bytes, i) => memoryBytes(bytes, `/part${i}`));

  test('reads as one dump, in any order', () => {
    const source = new KdumpSource(files(part(384, 640), part(0, 64), part(64, 384)));
    const reader = source.pages(pageSize);
    for (let pfn = 0; pfn < 640; pfn++) {
      expect(reader.load(pfn)).toBe(stored.includes(pfn) ? undefined : 'hole');
      if (stored.includes(pfn)) expect(loaded(reader).equals(page(pfn))).toBe(true);
    }
    expect(source.path).toBe('/part1, /part2, /part0');
  });

  test('parts without pages', () => {
    const source = new KdumpSource(files(part(640, 640), part(0, 640), part(640, 640)));
    expect(source.pages(pageSize).load(597)).toBeUndefined();
  });

  test('a part that met a full disk marks the set', () => {
    const source = new KdumpSource(files(part(0, 64, { status: 8 }), part(64, 640)));
    expect(source.made.status).toBe(8);
  });

  test.each([
    [[part(0, 64)], /no part holds page frames 64 to 639: the dump has 640/],
    [[part(64, 640)], /no part holds page frames 0 to 63: \/part0 begins at 64/],
    [[part(0, 64), part(128, 640)], /no part holds page frames 64 to 127: \/part1 begins at 128/],
    [[part(0, 128), part(64, 640)], /\/part1 holds page frames from 64 on, which another part holds/],
    [[part(0, 64), buildKdump({ maxMapnr: 640, pages: pagesOf(stored) })], /\/part1 is a whole dump/],
    [[part(0, 64), part(64, 641, { maxMapnr: 641 })], /their headers differ/],
    [[part(128, 64)], /this part holds page frames 128 to 64 of 640/],
  ] as [Buffer[], RegExp][])('what does not belong is told (%#)', (parts, message) => {
    expect(() => new KdumpSource(files(...parts))).toThrow(message);
  });
});
