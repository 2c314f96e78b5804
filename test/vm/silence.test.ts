// What the filter does when a kernel exports less than it could: vmcores of crashed kernels, with keys of VMCOREINFO taken away.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CollectReport, collect } from '../../src/dump/collect.ts';
import { collectRequest } from '../../src/dump/request.ts';
import { openKernelMemory } from '../../src/kernel/open.ts';
import type { KernelTypes } from '../../src/kernel/types.ts';
import { x86_64 } from '../../src/kernel/x86_64.ts';
import { openCoreMemory } from '../helpers/core-memory.ts';
import { editVmcoreinfo } from '../helpers/edit-vmcoreinfo.ts';
import { openKdump, setBits } from '../helpers/kdump-reader.ts';
import { comparedKernels, rawVmcore } from './lab/lab.ts';

/** What the filter knows pages by, and the kernel's own types tell as well. */
const inTypes =
  /^(SIZE\((page|mem_section)\)|OFFSET\((page|folio|mem_section)\..*\)|NUMBER\((PG_|PAGE_|HUGETLB).*\)|LENGTH\(zone.free_area\))$/;
/** What has another way to be known, or only a dump's other users need. */
const elsewhere =
  /^(SYMBOL\((kallsyms_.*|_stext|swapper_pg_dir)\)|OFFSET\(uts_namespace.name\)|NUMBER\((SECTION_SIZE_BITS|MAX_PHYSMEM_BITS|KERNEL_IMAGE_SIZE)\)|LENGTH\(mem_section\)|KERNELOFFSET|PAGESIZE|OSRELEASE)$/;
/** Where silence means that the kernel has no such pages. */
const meaningful = /^NUMBER\((PG_hwpoison|PAGE_OFFLINE_MAPCOUNT_VALUE|PAGE_UNACCEPTED_MAPCOUNT_VALUE)\)$/;
/** Marks that were macros once. */
const marks: Readonly<Record<string, string>> = {
  'NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)': 'buddy',
  'NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)': 'hugetlb',
};

type Outcome = { kept: Set<number>; report: CollectReport; messages: string };

describe.each(comparedKernels())('kernel %s', (name) => {
  let directory: string;
  let vmcore: string;
  let text: string;
  let types: KernelTypes;
  let whole: Outcome;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kdump-silence-'));
    vmcore = join(directory, 'vmcore');
    execFileSync('cp', ['--sparse=always', await rawVmcore(name), vmcore]);
    text = editVmcoreinfo(vmcore, (before) => before);
    const core = openCoreMemory(vmcore);
    types = openKernelMemory(x86_64, core.info, core, core.segments).knowledge.types!;
    core.close();
    whole = without(() => false);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const tellsMark = (mark: string): boolean =>
    types.enumerator(`PGTY_${mark}`) !== undefined || types.enumerator(`PG_${mark}`) !== undefined;

  const keys = (): string[] =>
    text
      .split('\n')
      .map((line) => line.split('=')[0]!)
      .filter((key) => inTypes.test(key) || elsewhere.test(key));

  /** What is kept of a vmcore whose kernel does not export these keys. */
  function without(drops: (key: string) => boolean): Outcome {
    const lines = text.split('\n').filter((line) => line === '' || !drops(line.split('=')[0]!));
    const output = join(directory, 'dump');
    const messages: string[] = [];
    editVmcoreinfo(vmcore, () => lines.join('\n'));
    try {
      const report = collect(
        collectRequest([vmcore], { kind: 'file', path: output, overwrite: true }, { dumpLevels: [30] }),
        { progress: () => {}, message: (message) => messages.push(message) },
      );
      const dump = openKdump(output);
      const kept = new Set(setBits(dump.bitmap2));
      dump.close();
      return { kept, report, messages: messages.join('\n') };
    } finally {
      editVmcoreinfo(vmcore, () => text);
    }
  }

  const difference = ({ kept }: Outcome): { more: number; lost: number } => ({
    more: [...kept].filter((pfn) => !whole.kept.has(pfn)).length,
    lost: [...whole.kept].filter((pfn) => !kept.has(pfn)).length,
  });

  test('no key that is missing costs a page, and few keep more', () => {
    const wrong: unknown[] = [];
    for (const key of keys()) {
      const outcome = without((candidate) => candidate === key);
      const { more, lost } = difference(outcome);
      const mark = marks[key];
      const mayKeep = meaningful.test(key) || (mark !== undefined && !tellsMark(mark));
      if (lost > 0 || (more > 0 && !mayKeep)) wrong.push({ key, more, lost });
      if (key === 'NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)' && more > 0) {
        expect(outcome.messages).toContain('PAGE_BUDDY_MAPCOUNT_VALUE');
        expect(outcome.report.suspicions.map(({ code }) => code)).toEqual(['no-free-pages']);
      }
    }
    expect(wrong).toEqual([]);
    expect(keys().length).toBeGreaterThan(25);
  });

  test.each([
    ['', inTypes],
    [', nor where its symbols are', new RegExp(`${inTypes.source}|^SYMBOL\\(kallsyms_.*\\)$`)],
  ])('a kernel that exports nothing about its pages%s tells by its types', (_, silent) => {
    const outcome = without((key) => silent.test(key));
    const { more, lost } = difference(outcome);
    expect(lost).toBe(0);
    const { excluded } = outcome.report.pages;
    const { cache, cachePrivate, user } = whole.report.pages.excluded;
    if (tellsMark('buddy')) {
      expect(more).toBe(0);
      expect(excluded).toEqual(whole.report.pages.excluded);
    } else {
      expect(excluded).toMatchObject({ cache, cachePrivate, free: 0 });
      // Where hugetlb pages had a macro for a type, they are the kernel's.
      expect(excluded.user).toBeGreaterThan(user * 0.8);
    }
  });

  test('without what memory is found by, every page is kept and the reason told', () => {
    for (const key of ['SYMBOL(init_uts_ns)', 'SYMBOL(mem_section)']) {
      const outcome = without((candidate) => candidate === key);
      expect(outcome.kept.size).toBe(outcome.report.pages.original);
      expect(outcome.messages).toMatch(/every page is kept/);
    }
  });
});
