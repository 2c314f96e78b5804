import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ET_CORE, type ProgramHeader, PT_LOAD, PT_NOTE, readElfCore } from '../../../src/formats/elf.ts';
import type { LayoutFacts } from '../../../src/kexec/layout/layout-facts.ts';
import { readLayout } from '../../../src/kexec/layout/read-layout.ts';
import {
  buildElfcorehdr,
  type ElfcorehdrOptions,
  elfcorehdrRoom,
} from '../../../src/kexec/segments/elfcorehdr.ts';
import { normalize, type Range, subtract, totalLength } from '../../../src/lib/ranges.ts';
import { errorOf, fixtureRoot } from '../fixtures.ts';

const nothingMore: ElfcorehdrOptions = { exclude: [], backup: null, preserveContext: false };
const lab = (): LayoutFacts => readLayout(fixtureRoot('lab-6g-high'));

function headersOf(bytes: Uint8Array): readonly ProgramHeader[] {
  const core = readElfCore((offset, length) => bytes.subarray(offset, offset + length), 'elfcorehdr');
  expect(core).toMatchObject({ type: ET_CORE, machine: 62 });
  return core.programHeaders;
}
const isText = ({ vaddr }: ProgramHeader): boolean => vaddr >= 0xffff_ffff_8000_0000n;
/** RAM by its physical addresses, and where its contents are, in the order of the header. */
const ramOf = (headers: readonly ProgramHeader[]) =>
  headers
    .filter((header) => header.type === PT_LOAD && !isText(header))
    .map(({ paddr, memsz, offset }) => ({ start: Number(paddr), end: Number(paddr) + memsz, offset }));

const shortHex = (text: string): string => `0x${BigInt(text).toString(16)}`;
/** Rows as `readelf -lW` has them, without alignment. */
const table = (headers: readonly ProgramHeader[]): string =>
  headers
    .map(({ type, flags, offset, vaddr, paddr, filesz, memsz }) => {
      const numbers = [offset, vaddr, paddr, filesz, memsz].map((value) => `0x${value.toString(16)}`);
      return [type === PT_LOAD ? 'LOAD' : 'NOTE', ...numbers, flags === 7 ? 'RWE' : `${flags}`].join(' ');
    })
    .join('\n');

describe('of a lab guest', () => {
  test.each(['lab-1g', 'lab-6g-high'])('%s', async (name) => {
    const headers = headersOf(buildElfcorehdr(readLayout(fixtureRoot(name)), nothingMore));
    await expect(`${table(headers)}\n`).toMatchFileSnapshot(`${fixtureRoot(name)}/elfcorehdr.golden`);
  });
  test('has notes of CPUs and VMCOREINFO, the text, then RAM, in this order', () => {
    const { cpuNotes, vmcoreinfo, kernelText, pageOffset } = lab();
    const headers = headersOf(buildElfcorehdr(lab(), nothingMore));
    expect(headers.map(({ type }) => type)).toEqual([...Array(5).fill(PT_NOTE), ...Array(6).fill(PT_LOAD)]);
    const load = { flags: 7, align: 0n };
    const note = { flags: 0, vaddr: 0n, align: 0n };
    const notes = [...cpuNotes, vmcoreinfo!].map(({ paddr, size }) => ({
      ...note,
      offset: paddr,
      paddr: BigInt(paddr),
      filesz: size,
      memsz: size,
    }));
    const { vaddr, paddr, size } = kernelText!;
    expect(headers).toMatchObject([
      ...notes,
      { ...load, offset: paddr, vaddr, paddr: BigInt(paddr), filesz: size, memsz: size },
      { ...load, offset: 0x1000, vaddr: pageOffset + 0x1000n, paddr: 0x1000n, filesz: 0x9_ec00 },
      { ...load, paddr: 0x10_0000n, memsz: 0xadf0_0000 },
      { ...load, paddr: 0xbe00_0000n, memsz: 0x1fd_d000 },
      { ...load, paddr: 0x1_0000_0000n, memsz: 0xaf00_0000, vaddr: pageOffset + 0x1_0000_0000n },
      { ...load, paddr: 0x1_bf00_0000n, filesz: 0x100_0000, memsz: 0x100_0000 },
    ]);
  });
  test('readelf sees the same', () => {
    const directory = mkdtempSync(join(tmpdir(), 'kdump-elfcorehdr-'));
    try {
      const path = join(directory, 'elfcorehdr');
      const bytes = buildElfcorehdr(lab(), nothingMore);
      writeFileSync(path, bytes);
      const { status, stdout, stderr } = spawnSync('readelf', ['-hlW', path], { encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(/CORE \(Core file\)[\s\S]*X86-64/);
      const rows = [...stdout.matchAll(/^ +(NOTE|LOAD) +((?:0x\w+ +){5})(RWE)? +0$/gm)].map(
        ([, type, numbers, flags]) =>
          [type, ...numbers!.trim().split(/ +/).map(shortHex), flags ?? '0'].join(' '),
      );
      expect(rows.join('\n')).toBe(table(headersOf(bytes)));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  test('without text or VMCOREINFO, and for a kernel that comes back', () => {
    const types = (layout: LayoutFacts, preserveContext = false) =>
      headersOf(buildElfcorehdr(layout, { ...nothingMore, preserveContext }));
    expect(types({ ...lab(), kernelText: null }).filter(isText)).toEqual([]);
    expect(types({ ...lab(), vmcoreinfo: null })).toHaveLength(10);
    expect(types(lab(), true)).toHaveLength(10);
  });
  test('low memory is read where it is saved', () => {
    const backup = { source: { start: 0, end: 0x9_0000 }, destination: 0x1_b000_0000 };
    const ram = ramOf(headersOf(buildElfcorehdr(lab(), { ...nothingMore, backup })));
    expect(ram.slice(0, 3)).toEqual([
      { start: 0x1000, end: 0x9_0000, offset: 0x1_b000_1000 },
      { start: 0x9_0000, end: 0x9_fc00, offset: 0x9_0000 },
      { start: 0x10_0000, end: 0xae00_0000, offset: 0x10_0000 },
    ]);
  });
});

describe('of any machine', () => {
  const drawnRanges = (maxLength: number) =>
    fc.array(
      fc
        .tuple(fc.nat(2 ** 20), fc.nat(2 ** 12))
        .map(([page, pages]): Range => ({ start: page * 4096, end: (page + pages) * 4096 })),
      { maxLength },
    );
  const drawn = fc
    .record({
      ram: drawnRanges(20).map(normalize),
      crashRegions: drawnRanges(2),
      gart: drawnRanges(1),
      cpuNotes: fc.array(
        fc.record({ cpu: fc.nat(8192), paddr: fc.nat(2 ** 40), size: fc.integer({ min: 1, max: 4096 }) }),
        { maxLength: 300 },
      ),
    })
    .map((facts): LayoutFacts => ({ ...lab(), ...facts }));
  const drawnBackup = fc.option(
    fc.record({
      source: fc
        .tuple(fc.nat(2 ** 30), fc.nat(2 ** 24))
        .map(([start, size]) => ({ start, end: start + size })),
      destination: fc.nat(2 ** 40),
    }),
  );

  test('every byte of RAM is in it once, but for what is left out', () => {
    fc.assert(
      fc.property(drawn, drawnRanges(1), drawnBackup, (layout, exclude, backup) => {
        const bytes = buildElfcorehdr(layout, { ...nothingMore, exclude, backup });
        const ram = ramOf(headersOf(bytes));
        const seen = subtract(layout.ram, [...layout.crashRegions, ...layout.gart, ...exclude]);
        expect(normalize(ram)).toEqual(seen);
        expect(ram.reduce((sum, { start, end }) => sum + end - start, 0)).toBe(totalLength(seen));
        expect(ram).toEqual(ram.toSorted((a, b) => a.start - b.start));
        for (const { start, end, offset } of ram) {
          const inside = backup !== null && backup.source.start <= start && end <= backup.source.end;
          expect(offset).toBe(inside ? start - backup.source.start + backup.destination : start);
        }
        expect(bytes.length % 1024).toBe(0);
        expect(bytes.length).toBeLessThanOrEqual(elfcorehdrRoom(layout, false));
      }),
    );
  });
  test('every CPU has its note, in the order of the machine', () => {
    fc.assert(
      fc.property(drawn, (layout) => {
        const notes = headersOf(buildElfcorehdr(layout, nothingMore)).filter(({ type }) => type === PT_NOTE);
        expect(notes.map(({ offset, filesz }) => [offset, filesz])).toEqual(
          [...layout.cpuNotes, layout.vmcoreinfo!].map(({ paddr, size }) => [paddr, size]),
        );
      }),
    );
  });
});

test('more than 16 bits can count is an error', () => {
  const layout = { ...lab(), cpuNotes: Array(65535).fill({ cpu: 0, paddr: 0, size: 368 }) };
  expect(errorOf(() => buildElfcorehdr(layout, nothingMore)).message).toMatch(/65542 program headers/);
});

describe('room', () => {
  test('is 16 KiB at least, and what the kernel wants for hotplug, in whole pages', () => {
    expect(elfcorehdrRoom(lab(), false)).toBe(16384);
    expect(lab().elfcorehdrSize).toBe(917616);
    expect(elfcorehdrRoom(lab(), true)).toBe(921600);
    expect(elfcorehdrRoom({ ...lab(), elfcorehdrSize: 4096 }, true)).toBe(16384);
  });
  test('is enough for whatever holes and a backup make of RAM', () => {
    const mib = (from: number, to: number): Range => ({ start: from * 2 ** 20, end: to * 2 ** 20 });
    const ranges = { ram: [mib(0, 100)], crashRegions: [mib(50, 60)], gart: [mib(70, 80)] };
    const backup = { source: mib(10, 20), destination: 50 * 2 ** 20 };
    // Over more than a page of program headers, so that some number of CPUs just fills the last one.
    for (let cpus = 280; cpus < 400; cpus++) {
      const cpuNotes = Array.from({ length: cpus }, (_, cpu) => ({ cpu, paddr: cpu * 4096, size: 368 }));
      const layout = { ...lab(), ...ranges, cpuNotes };
      const { length } = buildElfcorehdr(layout, { ...nothingMore, exclude: [mib(30, 40)], backup });
      expect(length).toBeLessThanOrEqual(elfcorehdrRoom(layout, false));
    }
  });
  test('hotplug needs a kernel that rewrites the header', () => {
    const error = errorOf(() => elfcorehdrRoom(readLayout(fixtureRoot('lab-1g')), true));
    expect(error).toMatchObject({ code: 'no-hotplug', exitCode: 1 });
  });
});
