// Our collector against the C one, on vmcores of crashed Debian kernels that had every kind of page in memory.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CollectReport, collect } from '../../src/dump/collect.ts';
import type { Compression } from '../../src/dump/crew/page-compressor.ts';
import { extractDmesg } from '../../src/dump/dmesg.ts';
import type { Excluded } from '../../src/dump/filter/kinds.ts';
import { FileBytes } from '../../src/dump/input/bytes.ts';
import { ElfSource } from '../../src/dump/input/elf-source.ts';
import { collectRequest } from '../../src/dump/request.ts';
import { openKdump, popcount } from '../helpers/kdump-reader.ts';
import { vmcoreInKnownWords } from './lab/known-words.ts';
import { comparedKernels, labKernel, type Peer, peer, rawVmcore } from './lab/lab.ts';
import { expectSameDump } from './lab/same-dump.ts';

const quiet = { progress: () => {}, message: () => {} };
const option: Record<Compression, string[]> = {
  none: [],
  zlib: ['-c'],
  lzo: ['-l'],
  snappy: ['-p'],
  zstd: ['-z'],
};

describe.each(comparedKernels())('kernel %s', (name) => {
  let vmcore: string;
  /** The same for the C tool, where it does not know the words in which the kernel describes itself. */
  let known: string;
  let theirs: Peer;
  let directory: string;
  const at = (file: string): string => join(directory, file);

  beforeAll(async () => {
    vmcore = await rawVmcore(name);
    theirs = await peer('makedumpfile');
    directory = mkdtempSync(join(tmpdir(), 'kdump-oracle-'));
    known = vmcoreInKnownWords(vmcore, at('vmcore'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const dumpOurs = (dumpLevel: number, compression: Compression, input = vmcore): CollectReport =>
    collect(
      collectRequest(
        [input],
        { kind: 'file', path: at('ours'), overwrite: true },
        { dumpLevels: [dumpLevel], compression },
      ),
      quiet,
    );

  const dumpTheirs = async (
    dumpLevel: number,
    compression: Compression,
    input = known,
    output = at('theirs'),
  ): Promise<string> => {
    const { status, stdout, stderr } = await theirs.run(
      [...option[compression], '-d', `${dumpLevel}`, '--message-level', '31', '-f', input, output],
      { timeout: 300_000 },
    );
    expect(status, stderr).toBe(0);
    return stdout;
  };

  test.each(Array.from({ length: 32 }, (_, level) => level))('level %d', async (level) => {
    const report = dumpOurs(level, 'lzo');
    const output = await dumpTheirs(level, 'lzo');
    expectSameDump(at('ours'), at('theirs'));
    expect(report.pages.excluded).toEqual(countersIn(output));
    expect(report.pages.total).toBe(pagesIn(output, 'Total pages'));
    expect(report.doubts).toEqual({ unreadable: 0, badOrder: 0, protected: 0 });
    expect(report.suspicions).toEqual([]);

    // The kernel text lies in two segments, by its two virtual addresses. The original counts its pages twice, and
    // takes them from the holes; a page is one page.
    const source = new ElfSource(new FileBytes(vmcore));
    const described = source.ranges.reduce(
      (sum, range) => sum + (range.end - range.start) / report.pageSize,
      0,
    );
    source.close();
    const ours = openKdump(at('ours'));
    expect(report.pages.original).toBe(popcount(ours.bitmap1));
    ours.close();
    expect(pagesIn(output, 'Original pages')).toBe(described);
    expect(described).toBeGreaterThan(report.pages.original);
  });

  test('the vmcore has pages of every kind that this kernel marks', async () => {
    const { excluded } = dumpOurs(31, 'lzo').pages;
    const expected: (keyof Excluded)[] = ['zero', 'cache', 'user', 'free', 'offline'];
    const { cachePrivate } = dumpOurs(30, 'lzo').pages.excluded;
    for (const kind of expected) expect(excluded[kind], kind).toBeGreaterThan(0);
    expect(cachePrivate, 'cachePrivate').toBeGreaterThan(0);
    const { config } = await labKernel(name);
    expect(excluded.hwpoison > 0, 'hwpoison').toBe(config.get('CONFIG_MEMORY_FAILURE') === 'y');
  });

  test.each(['none', 'zlib', 'zstd'] as const)('level 31, codec %s', async (codec) => {
    dumpOurs(31, codec);
    await dumpTheirs(31, codec);
    expectSameDump(at('ours'), at('theirs'));
  });

  test('the C tool refilters our dump to the very file that it makes of the vmcore', async () => {
    dumpOurs(1, 'zstd', known);
    await dumpTheirs(31, 'lzo', at('ours'), at('refiltered'));
    await dumpTheirs(31, 'lzo');
    expectSameDump(at('refiltered'), at('theirs'));
  });

  test('the kernel log is the same from the vmcore, by us, and from our dump, by the C tool', async () => {
    dumpOurs(31, 'lzo');
    const { status, stderr } = await theirs.run(['--dump-dmesg', '-f', at('ours'), at('dmesg')]);
    expect(status, stderr).toBe(0);
    const log = extractDmesg(vmcore);
    expect(log).toContain('sysrq: Trigger a crash');
    expect(log).toBe(readFileSync(at('dmesg'), 'latin1'));
  });
});

function pagesIn(report: string, label: string): number {
  const value = new RegExp(`^ *${label} *: (0x[0-9a-f]+)$`, 'm').exec(report)?.[1];
  if (value === undefined) throw new Error(`makedumpfile's report has no line '${label}':\n${report}`);
  return Number(value);
}

function countersIn(report: string): Excluded {
  return {
    zero: pagesIn(report, 'Pages filled with zero'),
    cache: pagesIn(report, 'Non-private cache pages'),
    cachePrivate: pagesIn(report, 'Private cache pages'),
    user: pagesIn(report, 'User process data pages'),
    free: pagesIn(report, 'Free pages'),
    hwpoison: pagesIn(report, 'Hwpoison pages'),
    offline: pagesIn(report, 'Offline pages'),
  };
}
