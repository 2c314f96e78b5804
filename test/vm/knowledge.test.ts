// What a kernel's memory tells beyond VMCOREINFO, on vmcores of crashed Debian kernels.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { findBtf } from '../../src/kernel/btf.ts';
import type { VirtualRange } from '../../src/kernel/image.ts';
import { inferredKeys } from '../../src/kernel/inferred.ts';
import { type Kallsyms, readKallsyms } from '../../src/kernel/kallsyms.ts';
import { findKallsyms } from '../../src/kernel/kallsyms-scan.ts';
import { isMissing } from '../../src/kernel/memory.ts';
import { type KernelMemory, openKernelMemory } from '../../src/kernel/open.ts';
import { type PageLayout, pageLayout } from '../../src/kernel/page.ts';
import { imageRanges, perCpuRanges, protectedRanges, tableRanges } from '../../src/kernel/protected.ts';
import { x86_64 } from '../../src/kernel/x86_64.ts';
import { type CoreMemory, openCoreMemory } from '../helpers/core-memory.ts';
import { openKdump } from '../helpers/kdump-reader.ts';
import { comparedKernels, peer, rawVmcore } from './lab/lab.ts';

const pageSize = 4096;

describe.each(comparedKernels())('kernel %s', (name) => {
  let path: string;
  let core: CoreMemory;
  let kernel: KernelMemory;
  let image: VirtualRange;
  let symbols: Kallsyms;

  beforeAll(async () => {
    path = await rawVmcore(name);
    core = openCoreMemory(path);
    kernel = openKernelMemory(x86_64, core.info, core, core.segments);
    image = x86_64.image!.range(core.info);
    symbols = kernel.knowledge.symbols!;
  });
  afterAll(() => core.close());

  const exported = (form: string): [key: string, name: string, value: string][] =>
    [...core.info.text.matchAll(new RegExp(`^(${form}\\((.+)\\))=(.*)$`, 'gm'))].map((match) => [
      match[1]!,
      match[2]!,
      match[3]!,
    ]);

  test('opening a kernel reads no symbols and no types, nor does the layout of its pages', () => {
    const { cost } = core;
    const before = { ...cost };
    const other = openKernelMemory(x86_64, core.info, core, core.segments);
    expect(pageLayout(other.knowledge.info)).toEqual(pageLayout(core.info));
    expect(cost.bytes - before.bytes).toBeLessThan(64 * 1024);
  });

  test('symbols have the addresses that VMCOREINFO tells', () => {
    const known = exported('SYMBOL')
      .map(([, symbol, value]) => [symbol, value, symbols.address(symbol)?.toString(16)] as const)
      .filter(([symbol, , found]) => found !== undefined && symbol !== 'mem_section');
    expect(known.map(([symbol, , found]) => [symbol, found])).toEqual(
      known.map(([symbol, value]) => [symbol, value]),
    );
    expect(known.length).toBeGreaterThanOrEqual(6);
    expect(symbols.address('no such symbol')).toBeUndefined();
  });

  test('one pass, bisection and the scan of the image agree on every symbol', () => {
    const all = [...symbols.entries()];
    expect(all.length).toBe(symbols.length);
    const firsts = new Map<string, bigint>();
    for (const { name: symbol, address } of all) if (!firsts.has(symbol)) firsts.set(symbol, address);
    for (let i = 0; i < all.length; i += 499) {
      const { name: symbol } = all[i]!;
      expect(symbols.address(symbol), symbol).toBe(firsts.get(symbol));
    }
    const scanned: Kallsyms[] = [];
    for (const places of findKallsyms(image, kernel.memory)) {
      const table = readKallsyms(places, core.info, kernel.memory);
      if (table !== undefined) scanned.push(table);
      // Without the order by name, the same must be found.
      const unordered = readKallsyms({ ...places, orders: [] }, core.info, kernel.memory);
      for (let i = 0; unordered && i < all.length; i += 4999) {
        const { name: symbol } = all[i]!;
        expect(unordered.address(symbol), symbol).toBe(firsts.get(symbol));
      }
    }
    expect(scanned.length).toBeGreaterThan(0);
    const differing = [...scanned[0]!.entries()].filter(
      (symbol, i) => symbol.name !== all[i]!.name || symbol.address !== all[i]!.address,
    );
    expect(differing).toEqual([]);
  });

  test('types are found with and without symbols, and agree', () => {
    const withSymbols = kernel.knowledge.types!;
    const without = findBtf(undefined, image, kernel.memory)!;
    for (const type of ['page', 'zone', 'task_struct', 'list_head', 'atomic_long_t']) {
      expect(withSymbols.find(type)?.size).toBeGreaterThan(0);
      expect(without.find(type)?.size).toBe(withSymbols.find(type)?.size);
    }
    expect(withSymbols.member('task_struct', 'thread.sp')?.type.kind).toBe('integer');
    expect(withSymbols.member('task_struct', 'mm')?.type.target?.().name).toBe('mm_struct');
    // Of variables only those of CPUs are described, and by no kernel that was built with an old pahole.
    const describesVariables = withSymbols.variable('cpu_tlbstate') !== undefined;
    expect(withSymbols.variable('runqueues')?.name).toBe(describesVariables ? 'rq' : undefined);
    expect(withSymbols.find('no such type')).toBeUndefined();
  });

  test.each(['SYMBOL', 'SIZE', 'OFFSET', 'LENGTH', 'NUMBER'])(
    '%s keys that are inferred are those that the kernel exports',
    (form) => {
      const infer = inferredKeys(kernel.knowledge);
      const both = exported(form)
        .map(([key, , value]) => ({ key, value, inferred: infer(key) }))
        .filter(({ inferred }) => inferred !== undefined);
      expect(both.map(({ key, inferred }) => `${key}=${inferred}`)).toEqual(
        both.map(({ key, value }) => `${key}=${value}`),
      );
      const least = { SYMBOL: 6, SIZE: 15, OFFSET: 40, LENGTH: 2, NUMBER: 6 }[form]!;
      expect(both.length).toBeGreaterThanOrEqual(least);
    },
  );

  test('the layout of pages is the same when VMCOREINFO tells nothing of it', () => {
    const silent = core.info.text.replace(
      /^(SIZE\(page\)|OFFSET\(page\..*\)|NUMBER\((PG_|PAGE_|HUGETLB).*\)|LENGTH\(zone.free_area\))=.*\n/gm,
      '',
    );
    const other = openKernelMemory(x86_64, new Vmcoreinfo(silent), core, core.segments);
    const [mine, theirs] = [pageLayout(other.knowledge.info), pageLayout(core.info)];
    const { types } = kernel.knowledge;
    // What older kernels put into page_type are macros, which no type information has.
    const known = (type: string): boolean =>
      types!.enumerator(`PGTY_${type}`) !== undefined || types!.enumerator(`PG_${type}`) !== undefined;
    const pageTypes = ['slab', 'buddy', 'offline', 'unaccepted'] as const;
    for (const type of pageTypes) {
      const [told, exportedType] = [mine[`${type}Type`], theirs[`${type}Type`]];
      // A kernel may have a type and not export it, as 6.12 does with unaccepted memory.
      if (known(type) && exportedType !== undefined) expect(told, type).toBe(exportedType);
      if (!known(type)) expect(told, type).toBeUndefined();
    }
    const untyped = ({
      slabType: _slab,
      buddyType: _buddy,
      offlineType: _offline,
      unacceptedType: _unaccepted,
      compound,
      ...rest
    }: PageLayout): unknown => ({
      ...rest,
      order: [compound?.orderWord, compound?.orderShift],
      hugetlb: compound?.hugetlb.by === 'type' && !known('hugetlb') ? 'a macro' : compound?.hugetlb,
    });
    expect(untyped(mine)).toEqual(untyped(theirs));
  });

  test('protected pages are all in the dump that makedumpfile makes', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kdump-knowledge-'));
    try {
      const theirs = await peer('makedumpfile');
      const output = join(directory, 'theirs');
      const { status, stderr } = await theirs.run(['-l', '-d', '31', '-f', path, output], {
        timeout: 300_000,
      });
      expect(status, stderr).toBe(0);
      const dump = openKdump(output);
      const kept = (pfn: number): boolean => (dump.bitmap2[pfn >>> 3]! & (1 << (pfn & 7))) !== 0;
      const ranges = protectedRanges(x86_64, kernel, pageSize);
      const dropped = ranges.flatMap(({ start, end }) =>
        Array.from({ length: end - start }, (_, i) => start + i).filter((pfn) => !kept(pfn)),
      );
      dump.close();
      expect(dropped).toEqual([]);
      expect(ranges.every((range, i) => i === 0 || ranges[i - 1]!.end < range.start)).toBe(true);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('protected pages hold the text, the page tables and the areas of both CPUs', () => {
    const pages = (ranges: readonly { start: number; end: number }[]): number =>
      ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    const text = kernel.memory.translate(symbols.address('_stext')!);
    if (isMissing(text)) throw new Error('the text is not mapped');
    const pfn = text.paddr / pageSize;
    expect(imageRanges(x86_64, kernel, pageSize).some(({ start, end }) => start <= pfn && pfn < end)).toBe(
      true,
    );
    const size = symbols.address('__per_cpu_end')! - symbols.address('__per_cpu_start')!;
    expect(pages(perCpuRanges(x86_64, kernel, pageSize))).toBe(2 * Math.ceil(Number(size) / pageSize));
    expect(pages(tableRanges(kernel, pageSize))).toBeGreaterThan(50);
  });
});
