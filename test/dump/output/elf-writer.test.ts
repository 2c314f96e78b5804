import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileBytes } from '../../../src/dump/input/bytes.ts';
import { ElfSource } from '../../../src/dump/input/elf-source.ts';
import type { DumpSource } from '../../../src/dump/input/source.ts';
import { type ElfWork, type ElfWritten, writeElfDump } from '../../../src/dump/output/elf-writer.ts';
import { openFlattenedSink } from '../../../src/dump/output/flattened-sink.ts';
import type { Sink } from '../../../src/dump/output/sink.ts';
import { openFlattenedStream, rearrange } from '../../../src/dump/rearrange.ts';
import { type ElfFile, PT_LOAD, PT_NOTE, readElfCore, readNotes } from '../../../src/formats/elf.ts';
import { elfFlagsOf } from '../../../src/formats/elf-encode.ts';
import { missing, VirtualMemory } from '../../../src/kernel/memory.ts';
import { PageBitmap } from '../../../src/lib/bitmap.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { MemorySink } from '../../helpers/memory-sink.ts';
import { buildVmcore, noisePage, pageSize } from '../../helpers/vmcore.ts';

const pages = 2048;
let directory: string;
let memory: Buffer;
let source: ElfSource;
const opened: ElfSource[] = [];

function open(bytes: Uint8Array, mapped = true): ElfSource {
  const path = join(directory, `core${opened.length}`);
  writeFileSync(path, bytes);
  const file = new FileBytes(path);
  if (!mapped) file.neverMap();
  const core = new ElfSource(file);
  opened.push(core);
  return core;
}

/** Physical memory of a core, from its segments; 0xee where it has nothing. */
function memoryOf(bytes: Buffer, core: ElfFile, size = pages * pageSize): Buffer {
  const result = Buffer.alloc(size, 0xee);
  for (const ph of core.programHeaders) {
    if (ph.type === PT_LOAD) bytes.copy(result, Number(ph.paddr), ph.offset, ph.offset + ph.filesz);
  }
  return result;
}

const parse = (bytes: Buffer): ElfFile =>
  readElfCore((offset, length) => bytes.subarray(offset, offset + length), 'output');
const loadsOf = (core: ElfFile) => core.programHeaders.filter((ph) => ph.type === PT_LOAD);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'elf-writer-'));
  const { bytes } = buildVmcore({ pages, content: noisePage });
  source = open(bytes);
  memory = memoryOf(bytes, source.elf);
});
afterAll(() => {
  for (const core of opened) core.close();
  rmSync(directory, { recursive: true });
});

/** Bitmaps of so many pages each, of the pages that `kept` tells. */
function cyclesOf(kept: (pfn: number) => boolean, step = pages, total = pages): () => PageBitmap[] {
  return () => {
    const bitmaps: PageBitmap[] = [];
    for (let first = 0; first < total; first += step) {
      const bitmap = new PageBitmap(Math.min(step, total - first), undefined, first);
      for (let pfn = first; pfn < bitmap.end; pfn++) if (kept(pfn)) bitmap.set(pfn);
      bitmaps.push(bitmap);
    }
    return bitmaps;
  };
}

const every = (): boolean => true;

function write(
  sink: Sink,
  kept: (pfn: number) => boolean,
  rest: Partial<ElfWork> & { step?: number } = {},
): ElfWritten {
  const { step, ...work } = rest;
  return writeElfDump(
    {
      source,
      sink,
      pageSize,
      memory: undefined,
      cycles: cyclesOf(kept, step),
      editor: undefined,
      eraseinfo: Buffer.alloc(0),
      ...work,
    },
    () => {},
  );
}

function output(kept: (pfn: number) => boolean, rest: Partial<ElfWork> & { step?: number } = {}) {
  const sink = new MemorySink();
  const written = write(sink, kept, rest);
  return { bytes: sink.bytes, core: parse(sink.bytes), written };
}

describe('a whole dump', () => {
  test('has the same memory, notes, addresses and machine, complete, without a gap in the file', () => {
    const { bytes, core, written } = output(every);
    expect(memoryOf(bytes, core).equals(memory)).toBe(true);
    expect(core.machine).toBe(62);
    expect(elfFlagsOf(core.header)).toBe(0);
    expect(written).toEqual({ segments: 1, pages, unreadable: 0 });
    const [note, load] = core.programHeaders;
    expect(note).toMatchObject({ type: PT_NOTE, offset: 64 + 2 * 56, filesz: source.notes.length });
    expect(bytes.subarray(note!.offset, note!.offset + note!.filesz).equals(Buffer.from(source.notes))).toBe(
      true,
    );
    expect(load).toEqual({ ...source.elf.programHeaders[1], offset: note!.offset + note!.filesz });
    expect(bytes.length).toBe(load!.offset + pages * pageSize);
  });

  test('is the same whether the input is mapped or read', () => {
    const unmapped = open(buildVmcore({ pages, content: noisePage }).bytes, false);
    const kept = (pfn: number): boolean => pfn % 700 < 300;
    expect(output(kept, { source: unmapped }).bytes.equals(output(kept).bytes)).toBe(true);
  });

  test('without pages is still a core, and crash(8) finds its notes by the first segment', () => {
    const { bytes, core, written } = output(() => false);
    expect(written).toEqual({ segments: 1, pages: 0, unreadable: 0 });
    expect(core.programHeaders[1]).toMatchObject({
      filesz: 0,
      memsz: pages * pageSize,
      offset: bytes.length,
    });
  });
});

describe('what is left out', () => {
  const gap = (pfn: number): boolean => pfn < 10 || (pfn >= 100 && pfn < 200) || pfn >= 600;

  test('long runs are in no segment; short ones are there as they were', () => {
    const { bytes, core } = output(gap);
    const loads = loadsOf(core);
    expect(
      loads.map((ph) => [Number(ph.paddr) / pageSize, ph.filesz / pageSize, ph.memsz / pageSize]),
    ).toEqual([
      [0, 200, 600],
      [600, pages - 600, pages - 600],
    ]);
    const delta = source.elf.programHeaders[1]!.vaddr;
    expect(loads.map((ph) => ph.vaddr - ph.paddr)).toEqual([delta, delta]);
    const found = memoryOf(bytes, core);
    expect(found.subarray(0, 200 * pageSize).equals(memory.subarray(0, 200 * pageSize))).toBe(true);
    expect(found.subarray(200 * pageSize, 600 * pageSize).every((byte) => byte === 0xee)).toBe(true);
    expect(found.subarray(600 * pageSize).equals(memory.subarray(600 * pageSize))).toBe(true);
  });

  test('a segment that begins with a long run still tells crash(8) where the headers end', () => {
    const { core } = output((pfn) => pfn >= 300 && pfn < 1000);
    const [first, second] = loadsOf(core);
    expect(first).toMatchObject({ filesz: 0, memsz: 300 * pageSize, offset: second!.offset });
    // Of later ones the offset is 0, as makedumpfile has it.
    const { core: other } = output((pfn) => pfn < 10 || pfn > 1000, {
      source: open(
        buildVmcore({
          pages,
          content: noisePage,
          segments: [
            { start: 0, end: 8 },
            { start: 8, end: pages },
          ],
        }).bytes,
      ),
      cycles: cyclesOf((pfn) => pfn < 8 || pfn > 1000),
    });
    expect(loadsOf(other).map((ph) => [ph.filesz > 0, ph.offset > 0])).toEqual([
      [true, true],
      [false, false],
      [true, true],
    ]);
  });

  test('cycles change nothing, wherever they end', () => {
    const whole = output(gap).bytes;
    for (const step of [8, 64, 160, 256, 1000]) expect(output(gap, { step }).bytes.equals(whole)).toBe(true);
  });

  test('segments of the input keep their order, and memory that two of them have is there for both', () => {
    const segments = [
      { start: 1000, end: 1500 },
      { start: 0, end: pages },
    ];
    const twice = open(buildVmcore({ pages, content: noisePage, segments }).bytes);
    for (const step of [pages, 256]) {
      const { bytes, core } = output(gap, { source: twice, step });
      expect(loadsOf(core).map((ph) => Number(ph.paddr) / pageSize)).toEqual([1000, 0, 600]);
      for (const ph of loadsOf(core)) {
        const at = Number(ph.paddr);
        expect(
          bytes.subarray(ph.offset, ph.offset + ph.filesz).equals(memory.subarray(at, at + ph.filesz)),
        ).toBe(true);
      }
    }
  });
});

test('a segment that begins and ends within pages keeps what it has of them', () => {
  const { bytes: raw } = buildVmcore({ pages, content: noisePage });
  const load = 64 + 56;
  const add = (at: number, n: bigint): void => {
    raw.writeBigUInt64LE(raw.readBigUInt64LE(load + at) + n, load + at);
  };
  for (const at of [8, 16, 24]) add(at, 100n);
  for (const at of [32, 40]) add(at, -107n);
  const odd = open(raw);
  const { bytes, core } = output((pfn) => pfn < 700 || pfn === pages - 1, { source: odd });
  const end = pages * pageSize - 7;
  expect(loadsOf(core).map((ph) => [Number(ph.paddr), ph.filesz, ph.memsz])).toEqual([
    [100, 700 * pageSize - 100, (pages - 1) * pageSize - 100],
    [(pages - 1) * pageSize, pageSize - 7, pageSize - 7],
  ]);
  const found = memoryOf(bytes, core);
  expect(found.subarray(100, 700 * pageSize).equals(memory.subarray(100, 700 * pageSize))).toBe(true);
  expect(
    found.subarray((pages - 1) * pageSize, end).equals(memory.subarray((pages - 1) * pageSize, end)),
  ).toBe(true);
  expect(output(every, { source: odd, step: 64 }).bytes.equals(output(every, { source: odd }).bytes)).toBe(
    true,
  );
});

describe('a stream', () => {
  const flattened = (kept: (pfn: number) => boolean, limit?: number) => {
    const pieces: Buffer[] = [];
    const sink = openFlattenedSink(
      (given) => {
        for (const piece of given) pieces.push(Buffer.from(piece));
      },
      limit === undefined ? {} : { limit },
    );
    let error: unknown;
    try {
      write(sink, kept, { step: 512 });
    } catch (thrown) {
      error = thrown;
    }
    sink.close();
    return { stream: Buffer.concat(pieces), error };
  };
  const plain = (stream: Buffer): Buffer => {
    const sink = new MemorySink();
    let at = 0;
    rearrange(
      openFlattenedStream((target) => {
        const part = stream.subarray(at, at + target.length);
        target.set(part);
        at += part.length;
        return part.length;
      }),
      sink,
    );
    return sink.bytes;
  };

  test('rearranged is the file', () => {
    const kept = (pfn: number): boolean => pfn % 400 < 100;
    const { stream, error } = flattened(kept);
    expect(error).toBeUndefined();
    expect(plain(stream).equals(output(kept).bytes)).toBe(true);
  });

  test('that is cut short by a limit says so, and holds what it promises', () => {
    const { stream, error } = flattened((pfn) => pfn % 400 < 100, 1_000_000);
    expect((error as KdumpError).code).toBe('no-space');
    expect(stream.length).toBeLessThanOrEqual(1_000_000);
    const bytes = plain(stream);
    const core = parse(bytes);
    expect(elfFlagsOf(core.header)).toBe(1);
    const held = loadsOf(core).reduce((sum, ph) => sum + ph.filesz, 0);
    expect(held).toBeGreaterThan(900_000);
    for (const ph of loadsOf(core)) {
      expect(ph.offset + ph.filesz).toBeLessThanOrEqual(bytes.length);
      const at = Number(ph.paddr);
      expect(
        bytes.subarray(ph.offset, ph.offset + ph.filesz).equals(memory.subarray(at, at + ph.filesz)),
      ).toBe(true);
    }
  });
});

test('a full disk leaves a core that says it is incomplete and promises only what it has, wherever it ends', () => {
  const segments = [
    { start: 1000, end: 1500 },
    { start: 0, end: pages },
  ];
  const twice = open(buildVmcore({ pages, content: noisePage, segments }).bytes);
  const kept = (pfn: number): boolean => pfn % 300 < 20;
  const whole = output(kept, { source: twice }).bytes.length;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: whole - 1 }), fc.constantFrom(pages, 256), (limit, step) => {
      const sink = new MemorySink(limit);
      let error: unknown;
      try {
        write(sink, kept, { source: twice, step });
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(KdumpError);
      expect((error as KdumpError).code).toBe('no-space');
      const { bytes } = sink;
      expect(bytes.length).toBeLessThanOrEqual(limit);
      // Less than the headers and notes is no core.
      if (bytes.length < source.notes.length + 64 + 56 * 13) return;
      const core = parse(bytes);
      expect(elfFlagsOf(core.header)).toBe(1);
      for (const ph of core.programHeaders) {
        expect([0, PT_LOAD, PT_NOTE]).toContain(ph.type);
        if (ph.type !== PT_LOAD) continue;
        expect(ph.offset + ph.filesz).toBeLessThanOrEqual(bytes.length);
        const at = Number(ph.paddr);
        expect(
          bytes.subarray(ph.offset, ph.offset + ph.filesz).equals(memory.subarray(at, at + ph.filesz)),
        ).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test('all that fits before the limit is promised', () => {
  const whole = output(every).bytes.length;
  const sink = new MemorySink(whole - 5 * pageSize - 1);
  expect(() => write(sink, every)).toThrow('no space left');
  const [load] = loadsOf(parse(sink.bytes));
  expect(load).toMatchObject({ filesz: (pages - 5) * pageSize - 1, memsz: pages * pageSize });
});

test('erased bytes are erased in every copy, and the notes tell', () => {
  const editor = {
    touches: (pfn: number) => pfn === 700 || pfn === 705,
    apply: (_pfn: number, page: Uint8Array, at: number) => {
      page.fill(0x58, at + 100, at + 200);
    },
  };
  const text = 'erase jiffies size 8\n';
  const { bytes, core } = output(every, { editor, eraseinfo: Buffer.from(text) });
  const expected = Buffer.from(memory);
  for (const pfn of [700, 705]) expected.fill(0x58, pfn * pageSize + 100, pfn * pageSize + 200);
  expect(memoryOf(bytes, core).equals(expected)).toBe(true);
  const note = core.programHeaders[0]!;
  const notes = readNotes(bytes.subarray(note.offset, note.offset + note.filesz));
  expect(notes.at(-1)).toMatchObject({ name: 'ERASEINFO', type: 0, description: Buffer.from(text) });
  expect(notes.slice(0, -1)).toHaveLength(readNotes(source.notes).length);
});

/** The source as one of another format, which has no segments. */
function withoutSegments(rest: Partial<DumpSource> = {}): DumpSource {
  return {
    path: 'other',
    arch: source.arch,
    notes: source.notes,
    vmcoreinfo: source.vmcoreinfo,
    vmcoreinfoOffset: source.vmcoreinfoOffset,
    vmcoreinfoSize: source.vmcoreinfoSize,
    cpuCount: source.cpuCount,
    segments: [],
    made: undefined,
    maxPfn: (size) => source.maxPfn(size),
    markPresent: (bitmap) => {
      bitmap.setRange(16, 100);
      bitmap.setRange(500, pages);
    },
    clearMissing: () => {},
    pages: (size, wanted) => source.pages(size, wanted),
    readInto: (paddr, target) => source.readInto(paddr, target),
    close: () => {},
    ...rest,
  };
}

describe('a dump that has no segments', () => {
  const kept = (pfn: number): boolean => (pfn >= 16 && pfn < 100) || pfn >= 500;

  test('gets one for every range of memory', () => {
    const { bytes, core } = output(kept, { source: withoutSegments() });
    expect(core.machine).toBe(62);
    expect(
      loadsOf(core).map((ph) => [Number(ph.paddr) / pageSize, ph.memsz / pageSize, ph.vaddr, ph.flags]),
    ).toEqual([
      [16, 84, 0n, 7],
      [500, pages - 500, 0n, 7],
    ]);
    const found = memoryOf(bytes, core);
    for (const [from, to] of [
      [16, 100],
      [500, pages],
    ] as const)
      expect(
        found
          .subarray(from * pageSize, to * pageSize)
          .equals(memory.subarray(from * pageSize, to * pageSize)),
      ).toBe(true);
  });

  test('gets virtual addresses where the page tables prove them', () => {
    const table = source.vmcoreinfo!.symbol('mem_section')!;
    const base = table - 0x10_0000n;
    // Maps memory linearly, but for one hole.
    const linear = new VirtualMemory(source, {
      translate: (vaddr) => {
        const paddr = Number(vaddr - base);
        if (paddr === 500 * pageSize) return missing('unmapped', vaddr);
        return { vaddr, paddr, length: pageSize };
      },
    });
    const { core } = output(kept, { source: withoutSegments(), memory: linear });
    expect(loadsOf(core).map((ph) => ph.vaddr)).toEqual([base + 16n * 4096n, 0n]);
  });

  test('is refused when it does not tell its machine', () => {
    expect(() => output(kept, { source: withoutSegments({ arch: undefined }) })).toThrow(
      'other: does not tell the architecture',
    );
  });

  test('is incomplete when it was', () => {
    const made = {
      dumpLevel: 0,
      blockSize: pageSize,
      physBase: 0n,
      crashTime: 0,
      status: 8,
      utsname: new Uint8Array(390),
      cpuCount: 1,
      eraseinfo: new Uint8Array(0),
    };
    expect(elfFlagsOf(output(kept, { source: withoutSegments({ made }) }).core.header)).toBe(1);
  });
});

test('pages that cannot be read are zeros and counted, and the dump is incomplete; excluded ones may be missing', () => {
  const bad = (pfn: number): boolean => pfn === 3 || pfn === 50 || pfn === 1999;
  const broken = withoutSegments({
    markPresent: (bitmap) => bitmap.setRange(0, pages),
    readInto: (paddr, target) => {
      for (let at = paddr - (paddr % pageSize); at < paddr + target.length; at += pageSize)
        if (bad(at / pageSize)) return missing('truncated', at);
      return source.readInto(paddr, target);
    },
    pages: (size, wanted) => {
      const reader = source.pages(size, wanted);
      return {
        get bytes() {
          return reader.bytes;
        },
        get at() {
          return reader.at;
        },
        get address() {
          return reader.address;
        },
        load: (pfn) => (bad(pfn) ? 'truncated' : reader.load(pfn)),
      };
    },
  });
  const { bytes, core, written } = output((pfn) => pfn !== 50, { source: broken });
  expect(written.unreadable).toBe(2);
  expect(elfFlagsOf(core.header)).toBe(1);
  const expected = Buffer.from(memory);
  for (const pfn of [3, 50, 1999]) expected.fill(0, pfn * pageSize, (pfn + 1) * pageSize);
  expect(memoryOf(bytes, core).equals(expected)).toBe(true);
});

test('more segments than e_phnum can say are all there', () => {
  // Small pages make a small file.
  const small = 64;
  const count = 65_600;
  const total = count * 257;
  const byte = (paddr: number): number => Math.floor(paddr / small / 257) % 251;
  const sparse = withoutSegments({
    maxPfn: () => total,
    markPresent: (bitmap) => bitmap.setRange(0, total),
    readInto: (paddr, target) => {
      target.fill(byte(paddr));
      return undefined;
    },
  });
  const bitmaps = function* (): Generator<PageBitmap> {
    const step = 2 ** 20;
    for (let first = 0; first < total; first += step) {
      const bitmap = new PageBitmap(Math.min(step, total - first), undefined, first);
      for (let pfn = Math.ceil(first / 257) * 257; pfn < bitmap.end; pfn += 257) bitmap.set(pfn);
      yield bitmap;
    }
  };
  const sink = new MemorySink();
  const written = write(sink, every, { source: sparse, pageSize: small, cycles: bitmaps });
  expect(written).toEqual({ segments: count, pages: count, unreadable: 0 });
  const core = parse(sink.bytes);
  const loads = loadsOf(core);
  expect(loads).toHaveLength(count);
  for (const [i, ph] of loads.entries()) {
    if (Number(ph.paddr) !== i * 257 * small || ph.filesz !== small || sink.bytes[ph.offset] !== i % 251)
      expect.unreachable(
        `segment ${i}: ${JSON.stringify(ph, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
      );
  }
});
