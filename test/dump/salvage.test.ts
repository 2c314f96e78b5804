import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDump } from '../../src/dump/input/open.ts';
import { reassemble } from '../../src/dump/reassemble.ts';
import { type SalvageReport, salvageFiles } from '../../src/dump/salvage.ts';
import { verifyFiles } from '../../src/dump/verify.ts';
import { flatten, memoryBytes, memorySink } from '../helpers/bytes.ts';
import { buildKdump, type KdumpOptions } from '../helpers/kdump-builder.ts';
import { buildVmcore, noisePage, pageSize, textPage } from '../helpers/vmcore.ts';

const page = (pfn: number): Buffer =>
  pfn % 5 === 0 ? Buffer.alloc(pageSize) : pfn % 3 === 0 ? noisePage(pfn) : textPage(pfn);
const stored = Array.from({ length: 150 }, (_, i) => i * 4 + 1);
const options: KdumpOptions = {
  maxMapnr: 640,
  pages: new Map(stored.map((pfn) => [pfn, page(pfn)])),
  excluded: [2, 3, 639],
  compress: true,
  dumpLevel: 1,
  eraseinfo: 'erase x size 8\n',
};
const whole = buildKdump(options);
const quiet = () => {};

function salvage(...files: Buffer[]): { report: SalvageReport; bytes: Buffer } {
  const sink = memorySink();
  const report = salvageFiles(
    files.map((bytes, i) => memoryBytes(bytes, `/dump${i}`)),
    sink,
    quiet,
  );
  return { report, bytes: sink.bytes };
}

/** Reads every page of a dump and compares it with what it should be. @returns how many are there */
function compare(bytes: Buffer): number {
  const reader = openDump([memoryBytes(bytes)]).pages(pageSize, undefined as never);
  let there = 0;
  for (const pfn of stored) {
    if (reader.load(pfn) !== undefined) continue;
    there++;
    expect(reader.bytes.compare(page(pfn), 0, pageSize, reader.at, reader.at + pageSize)).toBe(0);
  }
  return there;
}

/** Nothing but the note that pages are missing. */
function expectValid(bytes: Buffer, incomplete: boolean): void {
  const { findings } = verifyFiles([memoryBytes(bytes)], quiet);
  expect(findings.map(({ kind }) => kind)).toEqual(incomplete ? ['incomplete'] : []);
}

describe('salvage of a kdump-compressed dump', () => {
  test('that is whole copies it', () => {
    const { report, bytes } = salvage(whole);
    expect(report).toMatchObject({ format: 'kdump', pages: { kept: 150, lost: 0 }, problems: [] });
    expect(bytes.equals(whole)).toBe(true);
  });

  test('cut anywhere behind its bitmaps keeps the pages before', () => {
    const dataAt = 4 * pageSize + 24 * stored.length;
    fc.assert(
      fc.property(fc.integer({ min: 4 * pageSize, max: whole.length - 20 }), (length) => {
        const { report, bytes } = salvage(whole.subarray(0, length));
        expectValid(bytes, true);
        expect(compare(bytes)).toBe(report.pages.kept);
        expect(report.pages.kept + report.pages.lost).toBe(150);
        if (length < dataAt) expect(report.pages.kept).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('loses the damaged pages and no others', () => {
    const hurt = buildKdump({
      ...options,
      describe: (pfn, [offset, size, flags]) =>
        pfn === 5
          ? [0, 0, 0]
          : pfn === 9
            ? [offset, size, 0x40]
            : pfn === 13
              ? [2 ** 50, size, flags]
              : [offset, size, flags],
    });
    const { report, bytes } = salvage(hurt);
    expect(report.pages).toEqual({ kept: 147, lost: 3 });
    expectValid(bytes, true);
    expect(compare(bytes)).toBe(147);
  });

  test('a flattened stream becomes a plain file, without its end, too', () => {
    const records = [0, 8192, 24576, 100000].map((offset, i, all) => ({
      offset,
      bytes: whole.subarray(offset, all[i + 1]),
    }));
    expect(salvage(flatten(records)).bytes.equals(whole)).toBe(true);
    const ended = salvage(flatten(records, false));
    expect(ended.bytes.equals(whole)).toBe(true);
    expect(ended.report.problems).toHaveLength(1);
    const cut = salvage(flatten(records.slice(0, 3), false).subarray(0, -100));
    expect(cut.report.pages.lost).toBeGreaterThan(0);
    expectValid(cut.bytes, true);
    expect(compare(cut.bytes)).toBe(cut.report.pages.kept);
  });

  test('parts of a set that is not whole', () => {
    const part = (start: number, end: number) => buildKdump({ ...options, split: { start, end } });
    const both = salvage(part(256, 640), part(0, 64));
    const kept = stored.filter((pfn) => pfn < 64 || pfn >= 256).length;
    expect(both.report.pages).toEqual({ kept, lost: 150 - kept });
    expectValid(both.bytes, true);
    expect(compare(both.bytes)).toBe(kept);
  });

  test('an incomplete dump stays one', () => {
    const { report, bytes } = salvage(buildKdump({ ...options, status: 8 }));
    expect(report.pages.lost).toBe(0);
    expectValid(bytes, true);
  });

  test('without its bitmaps nothing is found', () => {
    expect(() => salvage(whole.subarray(0, 4 * pageSize - 1))).toThrow(/the bitmaps reach to offset 16384/);
  });

  test('a full disk is told', () => {
    expect(() => salvageFiles([memoryBytes(whole)], memorySink(100000), quiet)).toThrow(/no space left/);
  });
});

describe('salvage of an ELF core', () => {
  const { bytes: core } = buildVmcore({
    pages: 64,
    content: (pfn) => textPage(pfn),
    segments: [
      { start: 0, end: 32 },
      { start: 32, end: 64 },
    ],
  });
  const dataAt = core.length - 64 * pageSize;

  test('that is whole copies it', () => {
    const { report, bytes } = salvage(core);
    expect(report).toMatchObject({ format: 'elf', pages: { kept: 64, lost: 0 } });
    expect(bytes.equals(core)).toBe(true);
  });

  test.each([
    [0, 0],
    [40 * pageSize, 40],
    [40 * pageSize + 100, 40],
    [20 * pageSize + 4095, 20],
  ])('cut after %d bytes of memory', (length, pages) => {
    const { report, bytes } = salvage(core.subarray(0, dataAt + length));
    expect(report.pages).toEqual({ kept: pages, lost: 64 - pages });
    expectValid(bytes, true);
    const source = openDump([memoryBytes(bytes)]);
    expect(source.maxPfn(pageSize)).toBe(64);
    for (let pfn = 0; pfn < 30; pfn++) {
      const target = Buffer.alloc(pageSize);
      const missing = source.readInto(pfn * pageSize, target);
      if (pfn >= pages) expect(missing).toBeDefined();
      else
        expect(target.equals(core.subarray(dataAt + pfn * pageSize, dataAt + (pfn + 1) * pageSize))).toBe(
          true,
        );
    }
  });

  test('a stream that ends early, with a hole in it', () => {
    const stream = flatten(
      [
        { offset: 0, bytes: core.subarray(0, dataAt + 8 * pageSize) },
        {
          offset: dataAt + 40 * pageSize,
          bytes: core.subarray(dataAt + 40 * pageSize, dataAt + 50 * pageSize),
        },
      ],
      false,
    );
    const { report, bytes } = salvage(stream);
    expect(report.pages).toEqual({ kept: 8, lost: 56 });
    expectValid(bytes, true);
  });

  test('without its program headers nothing is found', () => {
    expect(() => salvage(core.subarray(0, 100))).toThrow(/Elf64_Phdr/);
    const stream = flatten(
      [
        { offset: 0, bytes: core.subarray(0, 64) },
        { offset: dataAt, bytes: core.subarray(dataAt) },
      ],
      false,
    );
    expect(() => salvage(stream)).toThrow(/the program headers at offset 64 are not there/);
  });
});

describe('reassemble', () => {
  let directory: string;
  const file = (name: string, bytes: Buffer): string => {
    writeFileSync(join(directory, name), bytes);
    return join(directory, name);
  };
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'kdump-reassemble-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const part = (start: number, end: number, more: Partial<KdumpOptions> = {}) =>
    buildKdump({ ...options, eraseinfo: '', split: { start, end }, ...more });

  test('makes the dump that was not split', () => {
    const paths = [file('c', part(320, 640)), file('a', part(0, 64)), file('b', part(64, 320))];
    const sink = memorySink();
    const report = reassemble(paths, sink, quiet);
    expect(sink.bytes.equals(buildKdump({ ...options, eraseinfo: '' }))).toBe(true);
    expect(report).toMatchObject({ inputs: [paths[1], paths[2], paths[0]], pages: { kept: 150, lost: 0 } });
  });

  test('erased data of all parts is named one after the other', () => {
    const sink = memorySink();
    const paths = [
      file('b', part(64, 640, { eraseinfo: 'b\n' })),
      file('a', part(0, 64, { eraseinfo: 'a\n' })),
    ];
    reassemble(paths, sink, quiet);
    expect(sink.bytes.equals(buildKdump({ ...options, eraseinfo: 'a\nb\n' }))).toBe(true);
  });

  test('a part that met a full disk makes an incomplete dump', () => {
    const hurt = part(64, 640, { status: 8, describe: (pfn, d) => (pfn > 400 ? [0, 0, 0] : d) });
    const sink = memorySink();
    const report = reassemble([file('a', part(0, 64)), file('b', hurt)], sink, quiet);
    expect(report.pages.lost).toBe(stored.filter((pfn) => pfn > 400).length);
    const { findings } = verifyFiles([memoryBytes(sink.bytes)], quiet);
    expect(findings.map(({ kind, count }) => [kind, count])).toEqual([
      ['incomplete', 1],
      ['never-written', report.pages.lost],
    ]);
    expect(compare(sink.bytes)).toBe(report.pages.kept);
  });

  test('what is no whole set is refused', () => {
    const run =
      (...paths: string[]) =>
      () =>
        reassemble(paths, memorySink(), quiet);
    expect(run(file('w', whole))).toThrow(/no part of a split set/);
    expect(run(file('a', part(0, 64)))).toThrow(/no part holds page frames 64 to 639/);
    expect(run(file('a', part(0, 640)), file('e', buildVmcore({ pages: 32 }).bytes))).toThrow(
      /only when all are/,
    );
    expect(run(join(directory, 'absent'))).toThrow(/cannot be opened/);
  });
});
