import { describe, expect, test } from 'vitest';
import { formatVerifyReport } from '../../src/dump/verify/report.ts';
import type { VerifyReport } from '../../src/dump/verify/result.ts';
import { verifyFiles } from '../../src/dump/verify.ts';
import { flatten, memoryBytes } from '../helpers/bytes.ts';
import { buildKdump, type KdumpOptions } from '../helpers/kdump-builder.ts';
import { buildVmcore, noisePage, pageSize, textPage } from '../helpers/vmcore.ts';

const page = (pfn: number): Buffer => (pfn % 5 === 0 ? Buffer.alloc(pageSize) : textPage(pfn));
const stored = [1, 2, 3, 5, 10, 100, 639];
const options: KdumpOptions = {
  maxMapnr: 640,
  pages: new Map(stored.map((pfn) => [pfn, page(pfn)])),
  excluded: [4, 6],
  compress: true,
  dumpLevel: 1,
};

const check = (...files: Buffer[]): VerifyReport =>
  verifyFiles(
    files.map((bytes, i) => memoryBytes(bytes, `/dump${i}`)),
    () => {},
  );
/** Kinds and counts of findings. */
const kinds = (report: VerifyReport): Record<string, number> =>
  Object.fromEntries(report.findings.map(({ kind, count }) => [kind, count]));
const said = (report: VerifyReport): string => JSON.stringify(report.findings);

describe('a whole dump', () => {
  test('has no findings', () => {
    expect(check(buildKdump(options))).toEqual({
      ok: true,
      files: ['/dump0'],
      format: 'kdump',
      flattened: false,
      pages: { present: 9, stored: 7, whole: 7, codecs: { zlib: 4, zero: 3 } },
      findings: [],
    });
  });

  test('of every version, raw, and with erased data', () => {
    for (const version of [1, 2, 3, 4, 5, 6]) {
      const report = check(
        buildKdump({ ...options, version, compress: false, eraseinfo: 'erase x size 8\n' }),
      );
      expect(report.findings).toEqual([]);
      expect(report.pages.whole).toBe(7);
    }
    expect(check(buildKdump({ ...options, oneBitmap: true, maxMapnr: 40000, excluded: [] })).ok).toBe(true);
  });

  test('flattened', () => {
    const bytes = buildKdump(options);
    const records = [
      { offset: 8192, bytes: bytes.subarray(8192) },
      { offset: 0, bytes: bytes.subarray(0, 8192) },
    ];
    expect(check(flatten(records))).toMatchObject({ ok: true, flattened: true });
    expect(kinds(check(flatten([...records, { offset: 4096, bytes: bytes.subarray(4096, 4200) }])))).toEqual({
      'stream-overlap': 1,
    });
    expect(kinds(check(flatten(records, false)))).toEqual({ stream: 1 });
  });

  test('in parts', () => {
    const parts = [
      [64, 640],
      [0, 64],
    ].map(([start, end]) => buildKdump({ ...options, split: { start: start!, end: end! } }));
    expect(check(...parts)).toMatchObject({ ok: true, pages: { stored: 7, whole: 7 } });
    const report = check(parts[0]!);
    expect(kinds(report)).toEqual({ 'split-set': 1, 'lost-part': 5 });
    expect(report.pages).toMatchObject({ stored: 7, whole: 2 });
    const other = buildKdump({ ...options, excluded: [4], split: { start: 0, end: 64 } });
    expect(said(check(parts[0]!, other))).toMatch(
      /"pfn":0,"what":"bitmap 1 of \/dump0 differs from that of \/dump1/,
    );
  });
});

describe('pages', () => {
  const changed = (change: (descriptor: [number, number, number]) => [number, number, number], at = 2) =>
    check(buildKdump({ ...options, describe: (pfn, d) => (pfn === at ? change(d) : d) }));

  test.each([
    ['never-written', () => [0, 0, 0], /never written/],
    ['bad-descriptor', ([offset, size]) => [offset, size, 3], /flags 0x3: the flags are no codec/],
    ['bad-descriptor', ([offset]) => [offset, 0, 1], /a page takes 1 to 4096 bytes/],
    ['bad-descriptor', ([offset]) => [offset, 5000, 1], /a page takes 1 to 4096 bytes/],
    ['bad-descriptor', ([offset]) => [offset, 50, 0], /not compressed is whole/],
    ['bad-descriptor', ([, size]) => [100, size, 1], /lies within the headers/],
    ['bad-descriptor', ([, size]) => [2 ** 41, size, 1], /the file ends at/],
    ['bad-data', ([offset, size]) => [offset + 1, size - 1, 1], /no whole page of zlib/],
    ['bad-data', ([offset, size]) => [offset, size, 2], /no whole page of lzo/],
    ['bad-data', ([offset, size]) => [offset, size, 4], /no whole page of snappy/],
    ['bad-data', ([offset, size]) => [offset, size, 0x20], /no whole page of zstd/],
  ] as [string, (d: [number, number, number]) => [number, number, number], RegExp][])(
    '%s (%#)',
    (kind, change, what) => {
      const report = changed(change);
      expect(kinds(report)).toEqual({ [kind]: 1 });
      expect(report.findings[0]!.examples[0]).toMatchObject({ pfn: 2, what: expect.stringMatching(what) });
      expect(report.pages).toMatchObject({ stored: 7, whole: 6 });
    },
  );

  test('that share their data', () => {
    let other: [number, number, number];
    const report = check(
      buildKdump({
        ...options,
        describe: (pfn, d) => {
          if (pfn === 1) other = d;
          return pfn === 3 ? other : d;
        },
      }),
    );
    expect(kinds(report)).toEqual({ overlap: 1 });
    expect(report.findings[0]!.examples[0]).toMatchObject({ pfn: 3, offset: other![0] });
  });

  test('that share a page of zeros which is not zero', () => {
    const bytes = buildKdump(options);
    const dataAt = 4 * pageSize + 24 * stored.length;
    bytes[dataAt + 17] = 1;
    expect(kinds(check(bytes))).toEqual({ 'zero-page': 3 });
  });

  test('the first twenty are named, all are counted', () => {
    const many = new Map(Array.from({ length: 50 }, (_, pfn) => [pfn + 1, noisePage(pfn)]));
    const report = check(buildKdump({ maxMapnr: 100, pages: many, describe: () => [0, 0, 0] }));
    expect(report.findings[0]).toMatchObject({ kind: 'never-written', count: 50 });
    expect(report.findings[0]!.examples).toHaveLength(20);
  });
});

test('the report as text', () => {
  expect(formatVerifyReport(check(buildKdump(options)))).toBe(
    [
      '/dump0: kdump-compressed dump',
      '  9 page frames described, 7 pages stored, 7 of them whole (zlib 4, zero 3)',
      'Nothing is wrong with it.',
      '',
    ].join('\n'),
  );
  const hurt = check(
    buildKdump({ ...options, describe: (pfn, d) => (pfn < 3 ? [0, 0, 0] : [d[0], d[1], 3]) }),
  );
  expect(formatVerifyReport(hurt)).toMatch(
    /never-written: 2\n {2}page frame 1: its descriptor was never written\n.*\nbad-descriptor: 5\n {2}page frame 3: offset \d+, size/,
  );
  expect(formatVerifyReport(hurt)).toMatch(/\n7 things are wrong with it\.\n$/);
});

describe('headers and bitmaps', () => {
  const altered = (alter: (bytes: Buffer) => void): VerifyReport => {
    const bytes = buildKdump(options);
    alter(bytes);
    return check(bytes);
  };

  test.each([
    ['header', (b) => b.writeInt32LE(7, 8), /header_version is 7/],
    ['header', (b) => b.writeUInt32LE(639, 440), /max_mapnr is 639 in the header and 640 in the sub header/],
    ['header', (b) => b.writeUInt32LE(0x41, 424), /status is 0x41, with unknown bits/],
    ['incomplete', (b) => b.writeUInt32LE(9, 424), /not complete/],
    [
      'notes',
      (b) => b.writeBigUInt64LE(4300n, pageSize + 32),
      /VMCOREINFO is \d+ bytes at 4300 by the header and/,
    ],
    ['notes', (b) => b.fill(0xff, pageSize + 104, pageSize + 116), /the notes are no notes any more/],
    [
      'bitmap',
      (b) => b.writeUInt8(1, 2 * pageSize + 80),
      /"pfn":640,.*bitmap 1 has bits beyond the last page frame/,
    ],
    ['bitmap', (b) => b.writeUInt8(0x80, 4 * pageSize - 1), /bitmap 2 has bits beyond the last page frame/],
    [
      'bitmap',
      (b) => b.writeUInt8(0, 2 * pageSize + 79),
      /"pfn":632,.*bitmap 2 has pages that bitmap 1 has not/,
    ],
  ] as [string, (bytes: Buffer) => void, RegExp][])('%s (%#)', (kind, alter, what) => {
    const report = altered(alter);
    expect(Object.keys(kinds(report))).toContain(kind);
    expect(said(report)).toMatch(what);
  });

  test('what cannot be read at all is a finding', () => {
    expect(kinds(check(Buffer.from('rubbish')))).toEqual({ 'unknown-format': 1 });
    expect(kinds(check(Buffer.alloc(0)))).toEqual({ 'unknown-format': 1 });
    expect(kinds(check(buildKdump(options).subarray(0, 5000)))).toEqual({ truncated: 1 });
    expect(check(Buffer.from('rubbish')).format).toBeUndefined();
  });
});

describe('an ELF core', () => {
  const { bytes } = buildVmcore({
    pages: 64,
    segments: [
      { start: 0, end: 32 },
      { start: 32, end: 64 },
    ],
  });

  test('whole', () => {
    expect(check(bytes)).toMatchObject({
      ok: true,
      format: 'elf',
      pages: { present: 64, stored: 64, whole: 64 },
    });
  });

  test.each([
    ['truncated', (b) => b.subarray(0, -5 * pageSize), /program header 2 \(PT_LOAD\) covers file offsets/],
    ['incomplete', (b) => b.fill(1, 48, 49), /not complete/],
    ['segment', (b) => b.fill(0, 64 + 2 * 56 + 40, 64 + 2 * 56 + 48), /131072 bytes of a segment of 0/],
    [
      'overlap',
      (b) => b.fill(b.subarray(64 + 56 + 8, 64 + 56 + 16), 64 + 2 * 56 + 8, 64 + 2 * 56 + 16),
      /headers 1 and 2/,
    ],
    [
      'segment',
      (b) => b.fill(6, 64 + 56, 64 + 57).fill(6, 64 + 112, 64 + 113),
      /no program header is a PT_LOAD/,
    ],
    ['notes', (b) => b.fill(0xff, 64 + 3 * 56, 64 + 3 * 56 + 12), /no notes any more/],
  ] as [string, (bytes: Buffer) => Buffer, RegExp][])('%s (%#)', (kind, alter, what) => {
    const report = check(alter(Buffer.from(bytes)));
    expect(kinds(report)).toEqual({ [kind]: 1 });
    expect(said(report)).toMatch(what);
  });
});
