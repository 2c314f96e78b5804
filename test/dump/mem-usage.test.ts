import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSource } from '../../src/dump/input/open.ts';
import type { DumpSource, PageReader } from '../../src/dump/input/source.ts';
import { formatMemoryUsage, liveMemoryUsage, memoryUsage } from '../../src/dump/mem-usage.ts';
import type { PageBitmap } from '../../src/lib/bitmap.ts';
import {
  note,
  PG,
  type StructPage,
  textPage,
  type612,
  type VmcoreOptions,
  writeVmcore,
} from '../helpers/vmcore.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kdump-usage-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const pages: Record<number, StructPage> = {
  64: { type: type612.buddy, private: 4n },
  90: { flags: 1 << PG.lru, mapping: 0xffff_8880_0000_1000n },
  91: { flags: (1 << PG.lru) | (1 << PG.private), mapping: 0xffff_8880_0000_1000n },
  92: { flags: 1 << PG.lru, mapping: 1n, type: 0 },
  93: { flags: 1 << PG.hwpoison },
};
const zeroPages = [10, 11, 92];
const quiet = { progress: () => {}, message: () => {} };

/** Writes a core and what /sys says of it; gives the root and the path of the core. */
function machine(
  name: string,
  options: VmcoreOptions = {},
): { root: string; core: string; kernelPages: number } {
  const root = join(directory, name);
  mkdirSync(join(root, 'sys/kernel'), { recursive: true });
  const core = join(root, 'kcore');
  const { kernelPages } = writeVmcore(core, {
    structPage: (pfn) => pages[pfn] ?? {},
    content: (pfn) => (zeroPages.includes(pfn) ? undefined : textPage(pfn)),
    ...options,
  });
  return { root, core, kernelPages };
}

test('every page is counted once, zero pages last, and the rest is kernel data', () => {
  const { root, core } = machine('plain');
  const usage = liveMemoryUsage(core, root, quiet);
  // The kernel's own structures have a zero page, too: the half of the page tables that nothing is mapped by.
  const { zero, ...excludable } = usage.pages.excludable;
  expect(excludable).toEqual({ cache: 1, cachePrivate: 1, user: 1, free: 16, hwpoison: 1, offline: 0 });
  expect(zero).toBeGreaterThanOrEqual(2);
  expect(usage.pages.total).toBe(1024);
  expect(usage.pages.kernelData).toBe(1024 - 20 - zero);
  expect(usage.pages.unreadable).toBe(0);
  expect(JSON.parse(JSON.stringify(usage))).toMatchObject({ release: '6.12.0-test', pageSize: 4096 });
});

test('the table is the one that makedumpfile prints', () => {
  const text = formatMemoryUsage({
    source: '/proc/kcore',
    release: 'x',
    pageSize: 4096,
    pages: {
      total: 1000,
      excludable: { zero: 1, cache: 2, cachePrivate: 3, user: 4, free: 5, hwpoison: 0, offline: 0 },
      kernelData: 985,
      unreadable: 0,
    },
    doubts: { unreadable: 0, badOrder: 0, protected: 0 },
  });
  expect(text).toBe(
    `
TYPE\t\tPAGES\t\t\tEXCLUDABLE\tDESCRIPTION
----------------------------------------------------------------------
ZERO\t\t1               \tyes\t\tPages filled with zero
NON_PRI_CACHE\t2               \tyes\t\tCache pages without private flag
PRI_CACHE\t3               \tyes\t\tCache pages with private flag
USER\t\t4               \tyes\t\tUser process pages
FREE\t\t5               \tyes\t\tFree pages
KERN_DATA\t985             \tno\t\tDumpable kernel data${' '}

page size:\t\t4096            ${''}
Total pages on system:\t1000            ${''}
Total size on system:\t4096000          Byte
`,
  );
});

test('without a note, VMCOREINFO is read from where /sys says it is', () => {
  // Twice: once to learn the text, then with that text in memory and no note.
  let text = '';
  const first = machine('text', {
    vmcoreinfo: (lines) => {
      text = `${lines.join('\n')}\n`;
      return lines;
    },
  });
  const at = 20;
  const bytes = note('VMCOREINFO', 0, Buffer.from(text));
  const page = Buffer.alloc(4096);
  bytes.copy(page);
  const { root, core } = machine('place', {
    vmcoreinfo: () => [],
    content: (pfn) => (pfn === at ? page : zeroPages.includes(pfn) ? undefined : textPage(pfn)),
  });
  writeFileSync(
    join(root, 'sys/kernel/vmcoreinfo'),
    `0x${(at * 4096).toString(16)} ${(4096).toString(16)}\n`,
  );
  expect(liveMemoryUsage(core, root, quiet).pages).toEqual(
    liveMemoryUsage(first.core, first.root, quiet).pages,
  );
});

test('a kernel that tells nothing is a clear error', () => {
  const { root, core } = machine('nothing', { vmcoreinfo: () => [] });
  expect(() => liveMemoryUsage(core, root, quiet)).toThrow('/sys/kernel/vmcoreinfo does not tell');
  writeFileSync(join(root, 'sys/kernel/vmcoreinfo'), '5000 1000\n');
  expect(() => liveMemoryUsage(core, root, quiet)).toThrow('no VMCOREINFO at physical address 0x5000');
});

test('a kernel that is not understood is an error, not a table of kernel data', () => {
  const { root, core } = machine('other', { release: '5.4.0-other' });
  expect(() => liveMemoryUsage(core, root, quiet)).toThrow("release '5.4.0-other'");
});

test('pages that go away while they are counted are counted and kept', () => {
  const { core, root } = machine('live');
  const { pages: whole } = liveMemoryUsage(core, root, quiet);
  const source = openSource([core]);
  const flaky: DumpSource = Object.create(source, {
    pages: {
      value: (pageSize: number, wanted: PageBitmap): PageReader => {
        const reader = source.pages(pageSize, wanted);
        const load = reader.load.bind(reader);
        reader.load = (pfn) => (pfn >= 100 && pfn < 110 ? 'truncated' : load(pfn));
        return reader;
      },
    },
    maxPfn: { value: (pageSize: number) => source.maxPfn(pageSize) },
    markPresent: { value: (bitmap: PageBitmap, pageSize: number) => source.markPresent(bitmap, pageSize) },
    clearMissing: { value: (bitmap: PageBitmap, pageSize: number) => source.clearMissing(bitmap, pageSize) },
    readInto: { value: (paddr: number, target: Uint8Array) => source.readInto(paddr, target) },
    view: { value: undefined },
  });
  expect(memoryUsage(flaky, quiet).pages).toEqual({ ...whole, unreadable: 10 });
  source.close();
});
