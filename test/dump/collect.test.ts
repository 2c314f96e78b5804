import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CollectReport, collect } from '../../src/dump/collect.ts';
import { FileBytes } from '../../src/dump/input/bytes.ts';
import { ElfSource } from '../../src/dump/input/elf-source.ts';
import { type CollectRequest, collectRequest } from '../../src/dump/request.ts';
import { PageBitmap } from '../../src/lib/bitmap.ts';
import { openKdump, popcount, setBits } from '../helpers/kdump-reader.ts';
import {
  noisePage,
  pageSize,
  release,
  textPage,
  type612,
  type VmcoreOptions,
  writeVmcore,
} from '../helpers/vmcore.ts';

let directory: string;
let count = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-collect-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const fresh = (name: string): string => join(directory, `${count++}-${name}`);
const quiet = { progress: () => {}, message: () => {} };

function dump(
  vmcore: string,
  {
    dumpLevel = 1,
    output = fresh('dump'),
    overwrite = false,
    ...rest
  }: Partial<CollectRequest> & { dumpLevel?: number; output?: string; overwrite?: boolean } = {},
): { path: string; report: CollectReport } {
  const target = { kind: 'file', path: output, overwrite } as const;
  const report = collect(collectRequest([vmcore], target, { dumpLevels: [dumpLevel], ...rest }), quiet);
  return { path: output, report };
}

function vmcoreFile(options: VmcoreOptions = {}): string {
  const path = fresh('core');
  writeVmcore(path, options);
  return path;
}

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'no error';
};

describe('the file', () => {
  const content = (pfn: number): Buffer | undefined =>
    pfn % 4 === 0 ? undefined : pfn % 4 === 1 ? noisePage(pfn) : textPage(pfn);

  test.each(['none', 'zlib', 'lzo', 'zstd'] as const)(
    'holds every page as it was, compressed by %s',
    (compression) => {
      const core = vmcoreFile({ pages: 512, content });
      const memory = readFileSync(core);
      const dataAt = memory.length - 512 * pageSize;
      const { path, report } = dump(core, { compression });
      const file = openKdump(path);
      const pfns = setBits(file.bitmap2);
      expect(pfns).toHaveLength(512);
      for (const [index, pfn] of pfns.entries()) {
        const at = dataAt + pfn * pageSize;
        expect(file.page(index).equals(memory.subarray(at, at + pageSize)), `page frame ${pfn}`).toBe(true);
      }
      expect(report.pages.excluded.zero).toBeGreaterThan(100);
      expect(report.pages.remaining).toBe(512 - report.pages.excluded.zero);
      // Status and place of the erase information are written twice.
      expect(report.bytes).toBe(file.size + 20);
      file.close();
    },
  );

  test('stores a page raw when its codec would not make it smaller', () => {
    const { path } = dump(vmcoreFile({ pages: 256, content: noisePage }), {
      compression: 'zlib',
      dumpLevel: 0,
    });
    const file = openKdump(path);
    expect(file.stored(3)).toMatchObject({ size: pageSize, flags: 0 });
    file.close();
  });

  test('has one shared zero page, first in the data, and only when zero pages are left out', () => {
    const core = vmcoreFile({ pages: 256, content });
    const shared = openKdump(dump(core, { dumpLevel: 1 }).path);
    expect(shared.stored(0)).toMatchObject({ offset: shared.dataOffset, size: pageSize, flags: 0 });
    expect(shared.stored(4).offset).toBe(shared.dataOffset);
    expect(shared.stored(1).offset).toBe(shared.dataOffset + pageSize);
    shared.close();
    const plain = openKdump(dump(core, { dumpLevel: 0 }).path);
    expect(plain.stored(0).offset).toBe(plain.dataOffset);
    expect(plain.stored(4).offset).toBe(plain.dataOffset + 4 * pageSize);
    plain.close();
  });

  test('describes the kernel and itself', () => {
    const { path } = dump(vmcoreFile({ pages: 256, content }), { dumpLevel: 31, compression: 'lzo' });
    const file = openKdump(path);
    expect(file).toMatchObject({
      headerVersion: 6,
      status: 2,
      blockSize: pageSize,
      crashTime: 1700000000,
      nrCpus: 2,
      maxMapnr: 256,
      maxMapnr64: 256,
      physBase: 0x200000n,
      dumpLevel: 31,
    });
    expect(file.utsname).toEqual(['Linux', 'host', release, '#1 SMP', 'x86_64', '(none)']);
    expect(file.vmcoreinfo.startsWith(`OSRELEASE=${release}\n`)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    file.close();
  });

  test('holds exactly the frames of the segments, whatever they are', () => {
    const segment = fc.record({ start: fc.nat(255), length: fc.integer({ min: 1, max: 64 }) });
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (drawn) => {
        const segments = drawn.map(({ start, length }) => ({ start, end: Math.min(256, start + length) }));
        const core = vmcoreFile({ pages: 256, content: textPage, segments, vmcoreinfo: () => [] });
        const { path, report } = dump(core, { dumpLevel: 0 });
        const file = openKdump(path);
        const expected = Array.from({ length: 256 }, (_, pfn) => pfn).filter((pfn) =>
          segments.some(({ start, end }) => pfn >= start && pfn < end),
        );
        expect(setBits(file.bitmap1)).toEqual(expected);
        expect(setBits(file.bitmap2)).toEqual(expected);
        // Overlapping segments (the kernel text has two addresses) are one memory: each page counts once.
        expect(report.pages.original).toBe(expected.length);
        expect(report.pages.holes + report.pages.original).toBe(report.pages.total);
        const content = expected.map((pfn) => (pfn < 200 ? textPage(pfn) : undefined));
        for (const [index, page] of content.entries())
          if (page) expect(file.page(index).equals(page)).toBe(true);
        file.close();
        rmSync(core);
        rmSync(path);
      }),
      { numRuns: 40 },
    );
  });
});

describe('bad input', () => {
  test('no VMCOREINFO: levels 0 and 1 work, others are refused before the output exists', () => {
    const core = vmcoreFile({ pages: 256, content: textPage, vmcoreinfo: () => [] });
    for (const dumpLevel of [0, 1])
      expect(popcount(openKdump(dump(core, { dumpLevel }).path).bitmap2)).toBe(256);
    const output = fresh('refused');
    expect(codeOf(() => dump(core, { dumpLevel: 2, output }))).toBe('no-vmcoreinfo');
    expect(existsSync(output)).toBe(false);
  });

  test('a file that is no ELF', () => {
    const path = fresh('text');
    writeFileSync(path, 'hello\n');
    expect(() => dump(path)).toThrow(`${path}: no dump that is read; found 68 65 6c 6c 6f 0a at offset 0`);
  });

  test('an empty file, and none at all', () => {
    const path = fresh('empty');
    writeFileSync(path, '');
    expect(() => dump(path)).toThrow(`${path}: no dump that is read; found nothing`);
    expect(codeOf(() => dump(fresh('absent')))).toBe('open-failed');
  });

  test('a PT_LOAD beyond the end of the file is named with its offsets', () => {
    const core = vmcoreFile({ pages: 256 });
    const full = statSync(core).size;
    truncateSync(core, full - 5000);
    expect(() => dump(core)).toThrow(
      /program header 1 \(PT_LOAD\) covers file offsets 4096 to 1052672, but the file ends at 1047672/,
    );
  });

  test('an ELF that ends within its headers', () => {
    const core = vmcoreFile({ pages: 256 });
    truncateSync(core, 100);
    expect(() => dump(core)).toThrow(/Elf64_Phdr at .*: needs 56 bytes, 36 are there/);
    truncateSync(core, 40);
    expect(() => dump(core)).toThrow(/Elf64_Ehdr at .* offset 0: needs 64 bytes, 40 are there/);
  });

  test('another architecture', () => {
    const core = vmcoreFile({ pages: 256 });
    const bytes = readFileSync(core);
    bytes.writeUInt16LE(183, 18);
    writeFileSync(core, bytes);
    expect(() => dump(core)).toThrow(/e_machine is 183; known are x86_64 \(62\)/);
  });

  test('an existing output stays as it is without -f, and is replaced with it', () => {
    const core = vmcoreFile({ pages: 256, content: textPage });
    const output = fresh('kept');
    writeFileSync(output, 'precious');
    expect(codeOf(() => dump(core, { output }))).toBe('exists');
    expect(readFileSync(output, 'latin1')).toBe('precious');
    dump(core, { output, overwrite: true });
    expect(popcount(openKdump(output).bitmap2)).toBe(256);
  });

  test('a directory that does not exist', () => {
    const output = join(directory, 'no', 'such', 'place');
    expect(() => dump(vmcoreFile({ pages: 256 }), { output })).toThrow(
      `${output}: the directory does not exist`,
    );
  });

  test('a device that is full: an error, and the device stays', () => {
    expect(codeOf(() => dump(vmcoreFile({ pages: 256 }), { output: '/dev/full', overwrite: true }))).toBe(
      'no-space-for-headers',
    );
    expect(existsSync('/dev/full')).toBe(true);
  });
});

test('what is read by mapping the file equals what is read by reading it', () => {
  const core = vmcoreFile({ pages: 512, content: textPage, structPage: () => ({ type: type612.none }) });
  const [mappedFile, readFile] = [new FileBytes(core), new FileBytes(core)];
  readFile.neverMap();
  const wanted = new PageBitmap(512);
  wanted.setRange(0, 512);
  const [mapped, read] = [mappedFile, readFile].map((file) => new ElfSource(file).pages(pageSize, wanted));
  for (let pfn = 0; pfn < 512; pfn++) {
    expect([mapped!.load(pfn), read!.load(pfn)]).toEqual([undefined, undefined]);
    const [a, b] = [mapped!, read!];
    expect(a.bytes.compare(b.bytes, b.at, b.at + pageSize, a.at, a.at + pageSize), `${pfn}`).toBe(0);
  }
  mappedFile.close();
  readFile.close();
});
