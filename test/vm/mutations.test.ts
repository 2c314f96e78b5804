// Damaged dumps of real kernels, fed to every reader: each gives an answer or a clear error, in bounded time and memory.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dmesgOf } from '../../src/dump/dmesg.ts';
import { excludePages } from '../../src/dump/filter/filter.ts';
import { mapPages } from '../../src/dump/filter/page-map.ts';
import { type ByteSource, FileBytes } from '../../src/dump/input/bytes.ts';
import { KdumpSource } from '../../src/dump/input/kdump-source.ts';
import { openDump } from '../../src/dump/input/open.ts';
import type { DumpSource } from '../../src/dump/input/source.ts';
import { copyStored } from '../../src/dump/output/copy-stored.ts';
import type { Sink } from '../../src/dump/output/sink.ts';
import { salvageFiles } from '../../src/dump/salvage.ts';
import { verifyFiles } from '../../src/dump/verify.ts';
import { PageBitmap } from '../../src/lib/bitmap.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { flatten, memoryBytes, memorySink } from '../helpers/bytes.ts';
import { buildKdump } from '../helpers/kdump-builder.ts';
import { mutated, mutationOf, type Region, random } from '../helpers/mutate.ts';
import { kernelNames, peer, rawVmcore } from './lab/lab.ts';

const pageSize = 4096;
const total = 10_000;
const quiet = () => {};

/** A dump, in one file or several, and the regions of its first file that mutations hit. */
type Subject = {
  readonly name: string;
  readonly files: readonly ByteSource[];
  readonly regions: readonly Region[];
  /** Whether it is small enough to be copied by every salvage. */
  readonly small: boolean;
};

const subjects: Subject[] = [];
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-mutations-'));
  const theirs = await peer('makedumpfile');
  for (const kernel of kernelNames) {
    const vmcore = await rawVmcore(kernel);
    const raw = new FileBytes(vmcore);
    raw.neverMap();
    const headers = { start: 0, end: 64 + 4 * 56 };
    const notes = { start: 4096, end: 8192 };
    subjects.push({ name: `${kernel} ELF`, files: [raw], regions: [headers, notes], small: false });
    const start = Buffer.alloc(2 ** 21);
    raw.readInto(0, start);
    const cut = memorySink();
    salvageFiles([memoryBytes(start)], cut, quiet);
    subjects.push({
      name: `${kernel} ELF, cut`,
      files: [memoryBytes(cut.bytes)],
      regions: [headers, notes],
      small: true,
    });

    for (const option of ['-l', '-z', '-c']) {
      const path = join(directory, 'dump');
      const { status, stderr } = await theirs.run(
        [option, '-d', '31', '--message-level', '0', '-f', vmcore, path],
        { timeout: 300_000 },
      );
      expect(status, stderr).toBe(0);
      const small = reduced(readFileSync(path));
      const file = memoryBytes(small);
      const regions = regionsOf(file);
      subjects.push({ name: `${kernel} ${option}`, files: [file], regions, small: true });
      if (option === '-z') continue;
      subjects.push(option === '-l' ? flattened(kernel, small) : split(kernel, file));
    }
  }
});

afterAll(() => {
  for (const { files } of subjects) for (const file of files) file.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A dump of only those pages that the readers of kernel memory look at, and some more. */
function reduced(dump: Buffer): Buffer {
  const source = new KdumpSource([memoryBytes(dump)]);
  const looked = new Set<number>();
  const readInto = source.readInto.bind(source);
  source.readInto = (paddr, target) => {
    for (let at = paddr; at < paddr + target.length; at += pageSize) looked.add(Math.floor(at / pageSize));
    looked.add(Math.floor((paddr + target.length - 1) / pageSize));
    return readInto(paddr, target);
  };
  readKernel(source);
  const sink = memorySink();
  const next = random(1);
  copyStored(source, sink, quiet, (pfn) => looked.has(pfn) || next(50) === 0);
  return Buffer.from(sink.bytes);
}

/** Headers, notes, bitmaps, descriptors and data of a kdump-compressed file. */
function regionsOf(file: ByteSource): Region[] {
  const [part] = new KdumpSource([file], true).parts;
  const { header, dataOffset } = part!;
  return [
    { start: 0, end: 12 },
    { start: 408, end: 464 },
    { start: pageSize, end: pageSize + 104 },
    { start: header.note.offset, end: header.note.offset + header.note.size },
    { start: header.bitmap1Offset, end: header.descriptorOffset },
    { start: header.descriptorOffset, end: dataOffset },
    { start: dataOffset, end: file.size },
  ];
}

function flattened(kernel: string, dump: Buffer): Subject {
  const pieces: { offset: number; bytes: Buffer }[] = [];
  const regions: Region[] = [{ start: 0, end: 32 }];
  for (let offset = 0; offset < dump.length; offset += 65536) {
    const head = 4096 + pieces.length * (65536 + 16);
    regions.push({ start: head, end: head + 16 });
    pieces.push({ offset, bytes: dump.subarray(offset, offset + 65536) });
  }
  const stream = memoryBytes(flatten(pieces.reverse()));
  return {
    name: `${kernel} flattened`,
    files: [stream],
    regions: [...regions, { start: 0, end: stream.size }],
    small: true,
  };
}

function split(kernel: string, file: ByteSource): Subject {
  const source = new KdumpSource([file]);
  const { maxMapnr } = source.parts[0]!.header;
  const pages = new Map<number, Buffer>();
  const reader = source.pages(pageSize);
  for (let pfn = 0; pfn < maxMapnr; pfn++) {
    if (reader.load(pfn) === undefined)
      pages.set(pfn, Buffer.from(reader.bytes.subarray(reader.at, reader.at + pageSize)));
  }
  const vmcoreinfo = source.vmcoreinfo!.text;
  const { physBase } = source.made;
  const middle = [...pages.keys()][Math.floor(pages.size / 2)]!;
  const files = [
    { start: 0, end: middle },
    { start: middle, end: maxMapnr },
  ].map((range) =>
    memoryBytes(buildKdump({ maxMapnr, pages, split: range, compress: true, vmcoreinfo, physBase })),
  );
  return { name: `${kernel} split`, files, regions: regionsOf(files[0]!), small: true };
}

/** What reads a kernel's memory: the log, and what the filter looks at. */
function readKernel(source: DumpSource): void {
  if (source.vmcoreinfo !== undefined) attempt(() => dmesgOf(source));
  const map = attempt(() => mapPages(source, 31, quiet));
  if (map?.descriptors === undefined) return;
  const bitmap = new PageBitmap(Math.min(map.maxPfn, 2 ** 15));
  source.markPresent(bitmap, map.pageSize);
  const { descriptors } = map;
  attempt(() => excludePages({ ...descriptors, dumpLevel: 31, bitmap }, quiet));
}

/** Reads pages here and there, and in a row. */
function readPages(source: DumpSource, next: (bound: number) => number): void {
  const end = source.maxPfn(pageSize);
  for (const first of [0, Math.floor(next(Math.max(1, end)) / 8) * 8]) {
    const bitmap = new PageBitmap(Math.max(0, Math.min(end - first, 2 ** 17)), undefined, first);
    source.markPresent(bitmap, pageSize);
    source.clearMissing(bitmap, pageSize);
    const reader = source.pages(pageSize, bitmap);
    let pages = 0;
    for (let pfn = bitmap.nextSet(first); pfn < bitmap.end && pages < 200; pfn = bitmap.nextSet(pfn + 1)) {
      pages++;
      if (reader.load(pfn) !== undefined) continue;
      expect(reader.at + pageSize).toBeLessThanOrEqual(reader.bytes.length);
    }
  }
  const target = Buffer.alloc(3 * pageSize);
  for (let n = 0; n < 10; n++) source.readInto(next(Math.max(1, end)) * pageSize + next(pageSize), target);
}

/** The answer, or undefined for a clear error. Any other error is a defect. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof KdumpError) return undefined;
    throw error;
  }
}

const nowhere = (): Sink => ({
  path: 'nowhere',
  written: 0,
  rewritable: true,
  write: (bytes) => bytes.length,
  reserve() {},
  close() {},
  discard() {},
});

describe('mutations', () => {
  test('the dumps are right before they are damaged', () => {
    for (const { name, files } of subjects) {
      const kinds = verifyFiles(files, quiet).findings.map(({ kind }) => kind);
      expect(
        kinds.filter((kind) => kind !== 'incomplete'),
        name,
      ).toEqual([]);
      // A few MiB of an ELF core hold no page tables.
      if (name.endsWith('cut')) continue;
      const source = openDump(files);
      expect(dmesgOf(source), name).toContain('sysrq: Trigger a crash');
      expect(mapPages(source, 31, quiet).descriptors, name).toBeDefined();
    }
  });

  test(`${total} of them`, () => {
    const before = process.memoryUsage().rss;
    const slow: string[] = [];
    for (let seed = 0; seed < total; seed++) {
      const { name, files, regions, small } = subjects[seed % subjects.length]!;
      const mutation = mutationOf(seed, files[0]!, regions);
      const damaged = [mutated(files[0]!, mutation), ...files.slice(1)];
      const next = random(seed);
      // In turn, so that all of them take a minute or two.
      const salvages = Math.floor(seed / subjects.length) % 2 === 1;
      const began = performance.now();
      try {
        const source = attempt(() => openDump(damaged));
        if (source !== undefined) {
          attempt(() => readPages(source, next));
          if (!salvages) readKernel(source);
        }
        verifyFiles(damaged, quiet);
        if (salvages && small) attempt(() => salvageFiles(damaged, nowhere(), quiet));
      } catch (error) {
        throw new Error(`seed ${seed}, ${name}, ${mutation.kind}: ${(error as Error).message}`, {
          cause: error,
        });
      }
      const took = performance.now() - began;
      if (took > 10_000) slow.push(`seed ${seed}, ${name}, ${mutation.kind}: ${Math.round(took)} ms`);
      if (seed % 100 === 0) {
        const grown = process.memoryUsage().rss - before;
        expect(grown, `seed ${seed}, ${name}: resident memory`).toBeLessThan(512 * 2 ** 20);
      }
    }
    expect(slow).toEqual([]);
  });
});
