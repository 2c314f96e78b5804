import { expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { openKernelMemory } from '../../src/kernel/open.ts';
import { imageRanges, perCpuRanges, protectedRanges, tableRanges } from '../../src/kernel/protected.ts';
import { x86_64 } from '../../src/kernel/x86_64.ts';
import { buildKallsyms, type SymbolSpec } from '../helpers/kallsyms.ts';
import { MappedRam } from '../helpers/mapped-ram.ts';

const pageSize = 4096;
const startKernelMap = 0xffff_ffff_8000_0000n;
const direct = 0xffff_8880_0000_0000n;
/** Virtual address of a page frame in the image's mapping, which begins at frame 0x200. */
const inImage = (pfn: number): bigint => startKernelMap + 0x100_0000n + BigInt((pfn - 0x200) * pageSize);

/**
 * A kernel whose image lies in the frames 0x200 to 0x300, whose tables lie at the end of 8 MiB, and whose two CPUs have
 * their variables in the frames 0x400 and 0x500; a third cannot be.
 */
function kernel(options: { symbols?: boolean; cpus?: number } = {}) {
  const ram = new MappedRam(8 * 2 ** 20);
  ram.map(inImage(0x200), 0x200 * pageSize, 0x100 * pageSize);
  ram.map(direct, 0, 8 * 2 ** 20, 0x20_0000);
  const offsets = 0x2f0;
  const named: [string, bigint][] = [
    ['__per_cpu_start', 0n],
    ['__per_cpu_end', 0x2800n],
    ['_stext', inImage(0x200)],
    ['_etext', inImage(0x210) + 5n],
    ['__start_rodata', inImage(0x220)],
    ['__end_rodata', inImage(0x250)],
    ['_sdata', inImage(0x258)],
    ['init_uts_ns', inImage(0x260)],
    ['prb', inImage(0x261)],
    ['__init_begin', inImage(0x270)],
    ['__init_end', inImage(0x290)],
    ['__smp_locks', inImage(0x290)],
    ['__smp_locks_end', inImage(0x292)],
    ['__start_bss_decrypted_unused', inImage(0x2a0) + 8n],
    ['__end_bss_decrypted', inImage(0x2b0)],
    ['_brk_end', inImage(0x2d0)],
    ['__per_cpu_offset', inImage(offsets)],
    ['nr_cpu_ids', inImage(offsets) + 0x100n],
  ];
  const symbols: SymbolSpec[] = named.map(([name, address]) => ({ name, type: 'D', address }));
  const table = buildKallsyms(
    symbols.sort((a, b) => (a.address < b.address ? -1 : 1)),
    { layout: '6.4', encoding: 'absolute-percpu' },
    inImage(0x221),
  );
  Buffer.from(table.piece.bytes).copy(ram.bytes, 0x221 * pageSize);
  // What brk handed out ends in frame 0x2f1.
  ram.bytes.writeBigUInt64LE(inImage(0x2f1) + 0x10n, 0x2d0 * pageSize);
  ram.bytes.writeUInt32LE(options.cpus ?? 3, offsets * pageSize + 0x100);
  for (const [cpu, area] of [direct + 0x40_0000n, direct + 0x50_0000n, inImage(0x280)].entries())
    ram.bytes.writeBigUInt64LE(area, offsets * pageSize + cpu * 8);
  const info = [
    'OSRELEASE=6.1-test',
    `SYMBOL(swapper_pg_dir)=${(startKernelMap + 0x100_0000n).toString(16)}`,
    `NUMBER(phys_base)=${ram.root - 0x100_0000}`,
    ...['_stext', 'init_uts_ns', 'prb'].map(
      (name) => `SYMBOL(${name})=${named.find(([other]) => other === name)![1].toString(16)}`,
    ),
    ...(options.symbols === false ? [] : table.lines),
  ];
  return { ram, kernel: openKernelMemory(x86_64, new Vmcoreinfo(info.join('\n')), ram, []) };
}

test('the image is what is mapped, without what the kernel gave back', () => {
  expect(imageRanges(x86_64, kernel().kernel, pageSize)).toEqual([
    { start: 0x200, end: 0x211 },
    { start: 0x220, end: 0x250 },
    { start: 0x258, end: 0x270 },
    { start: 0x292, end: 0x2a1 },
    { start: 0x2b0, end: 0x2f2 },
  ]);
});

test('without symbols all of it is protected', () => {
  const { kernel: blind } = kernel({ symbols: false });
  expect(imageRanges(x86_64, blind, pageSize)).toEqual([{ start: 0x200, end: 0x300 }]);
  expect(perCpuRanges(x86_64, blind, pageSize)).toEqual([]);
});

test('an architecture that does not tell where its image is protects its page tables', () => {
  const { image: _, ...without } = x86_64;
  const { ram, kernel: any } = kernel();
  expect(imageRanges(without, any, pageSize)).toEqual([]);
  expect(protectedRanges(without, any, pageSize)).toEqual([{ start: 0x800 - ram.tables.length, end: 0x800 }]);
});

test('each page table is protected, and nothing else that an entry points at', () => {
  const { ram, kernel: any } = kernel();
  const frames = tableRanges(any, pageSize).map(({ start, end }) => (end === start + 1 ? start : Number.NaN));
  expect(frames.sort((a, b) => a - b)).toEqual(ram.tables.map((at) => at / pageSize).sort((a, b) => a - b));
});

test('per-CPU variables of the CPUs that can be; the template in the image is none of them', () => {
  expect(perCpuRanges(x86_64, kernel().kernel, pageSize)).toEqual([
    { start: 0x400, end: 0x403 },
    { start: 0x500, end: 0x503 },
  ]);
  expect(perCpuRanges(x86_64, kernel({ cpus: 1 }).kernel, pageSize)).toEqual([{ start: 0x400, end: 0x403 }]);
  // A number of CPUs that cannot be is cut to the most there are; what lies behind the table leads nowhere.
  expect(perCpuRanges(x86_64, kernel({ cpus: 0xffff_ffff }).kernel, pageSize)).toEqual([
    { start: 0x400, end: 0x403 },
    { start: 0x500, end: 0x503 },
  ]);
});

test('all of it is sorted and disjoint', () => {
  const ranges = protectedRanges(x86_64, kernel().kernel, pageSize);
  expect(ranges.at(0)).toEqual({ start: 0x200, end: 0x211 });
  expect(ranges).toContainEqual({ start: 0x500, end: 0x503 });
  expect(ranges.every((range, i) => i === 0 || ranges[i - 1]!.end < range.start)).toBe(true);
});
