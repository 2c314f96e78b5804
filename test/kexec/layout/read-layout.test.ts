import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LayoutFacts } from '../../../src/kexec/layout/layout-facts.ts';
import { readLayout } from '../../../src/kexec/layout/read-layout.ts';
import { fixtureRoot } from '../fixtures.ts';
import { type Files, kcore, memmap, tree } from './tree.ts';

const layoutOf = (files: Files): LayoutFacts => readLayout(tree(files));

/** As people read it: addresses in hexadecimal. */
function show(layout: LayoutFacts, root: string): string {
  const hex = (value: number | bigint) => `0x${value.toString(16)}`;
  const bootParams = layout.bootParams === null ? null : `${layout.bootParams.length} bytes`;
  const text = JSON.stringify(
    { ...layout, bootParams },
    (_, value) =>
      typeof value === 'bigint' || (typeof value === 'number' && value >= 4096) ? hex(value) : value,
    2,
  );
  return `${text.replaceAll(root, '')}\n`;
}

describe('whole machines', () => {
  test.each(['vm-16g', 'lab-1g', 'lab-6g-high', 'server-24g-high'])('%s', async (name) => {
    const layout = readLayout(fixtureRoot(name));
    await expect(show(layout, fixtureRoot(name))).toMatchFileSnapshot(`${fixtureRoot(name)}/layout.golden`);
  });
  test.each(['lab-1g', 'lab-6g-high'])('%s: the text is where its symbols are', (name) => {
    const { kernel, kernelText } = readLayout(fixtureRoot(name));
    const symbols = readFileSync(join(fixtureRoot(name), 'proc/kallsyms'), 'latin1');
    const symbol = (wanted: string) =>
      BigInt(`0x${new RegExp(`^([0-9a-f]+) . ${wanted}$`, 'm').exec(symbols)![1]!}`);
    expect(kernelText).toEqual({
      vaddr: symbol('_text'),
      paddr: kernel!.start,
      size: Number(symbol('_end') - symbol('_text')),
    });
  });
  test('nothing there: facts that are null, and no error', () => {
    expect(layoutOf({})).toMatchObject({
      memoryMap: [],
      ram: [],
      crashRegions: [],
      kernel: null,
      kernelText: null,
      pageOffset: 0xffff_8880_0000_0000n,
      cpuNotes: [],
      vmcoreinfo: null,
      elfcorehdrSize: null,
      bootParams: null,
      acpiRsdp: null,
      efi: null,
    });
  });
});

describe('/proc/iomem', () => {
  const iomem = [
    '00000000-00000fff : Reserved',
    '00001000-0009ffff : System RAM',
    '00100000-3fffffff : System RAM',
    '  01000000-01ffffff : Kernel code',
    '  02800000-02bfffff : Kernel bss',
    '  10000000-13ffffff : GART',
    '  30000000-37ffffff : Crash kernel',
    '40000000-7fffffff : PCI Bus 0000:00',
    '  50000000-50000fff : Reserved',
    '100000000-1ffffffff : virtio0',
    '  100000000-13fffffff : System RAM (virtio_mem)',
    '  140000000-17fffffff : System RAM (virtio_mem)',
    '  1f0000000-1ffffffff : Crash kernel',
    '',
  ].join('\n');

  test('RAM at any depth and of any driver, crash regions, GART and the kernel', () => {
    expect(layoutOf({ 'proc/iomem': iomem })).toMatchObject({
      ram: [
        { start: 0x1000, end: 0xa0000 },
        { start: 0x100000, end: 0x4000_0000 },
        { start: 0x1_0000_0000, end: 0x1_8000_0000 },
      ],
      crashRegions: [
        { start: 0x3000_0000, end: 0x3800_0000 },
        { start: 0x1_f000_0000, end: 0x2_0000_0000 },
      ],
      gart: [{ start: 0x1000_0000, end: 0x1400_0000 }],
      kernel: { start: 0x100_0000, end: 0x2c0_0000 },
    });
  });
  test("stands for the firmware's map where that is missing, without what a driver brought", () => {
    expect(layoutOf({ 'proc/iomem': iomem }).memoryMap).toEqual([
      { start: 0, end: 0x1000, type: 'reserved' },
      { start: 0x1000, end: 0xa0000, type: 'ram' },
      { start: 0x100000, end: 0x4000_0000, type: 'ram' },
      { start: 0x5000_0000, end: 0x5000_1000, type: 'reserved' },
    ]);
  });
  test('two kernels are none', () => {
    const two = `${iomem}  02000000-02ffffff : Kernel code\n`.replaceAll('  02000000', '02000000');
    expect(layoutOf({ 'proc/iomem': two }).kernel).toBeNull();
  });
  test('hidden addresses are not taken for memory at 0', () => {
    const hidden = '00000000-00000000 : System RAM\n  00000000-00000000 : Crash kernel\n';
    const layout = layoutOf({ 'proc/iomem': hidden });
    expect(layout).toMatchObject({ ram: [], crashRegions: [], memoryMap: [] });
    expect(layout.warnings).toContainEqual(expect.stringMatching(/CAP_SYS_ADMIN/));
  });
});

describe("the firmware's map", () => {
  const map = memmap(
    [0x10_0000, 0xfff_ffff, 'System RAM'],
    [0, 0x9_fbff, 'System RAM'],
    [0x1000_0000, 0x1000_ffff, 'ACPI Tables'],
    [0x1001_0000, 0x1001_ffff, 'ACPI Non-volatile Storage'],
    [0x2000_0000, 0x2fff_ffff, 'Persistent Memory'],
    [0x3000_0000, 0x3fff_ffff, 'Persistent Memory (legacy)'],
    [0x4000_0000, 0x4000_0fff, 'Unusable memory'],
    [0x5000_0000, 0x5000_0fff, 'Soft Reserved'],
  );
  const iomem = { 'proc/iomem': '00001000-0009ffff : System RAM\n' };

  test('is sorted, with every kind of memory', () => {
    const { memoryMap } = layoutOf({ ...map, ...iomem });
    expect(memoryMap.map(({ start, type }) => [start, type])).toEqual([
      [0, 'ram'],
      [0x10_0000, 'ram'],
      [0x1000_0000, 'acpi'],
      [0x1001_0000, 'nvs'],
      [0x2000_0000, 'pmem'],
      [0x3000_0000, 'pram'],
      [0x4000_0000, 'unusable'],
      [0x5000_0000, 'reserved'],
    ]);
    expect(memoryMap[0]!.end).toBe(0x9_fc00);
  });
  test('is left for /proc/iomem when EFI added to it', () => {
    const ofIomem = [{ start: 0x1000, end: 0xa_0000, type: 'ram' }];
    expect(layoutOf({ ...map, ...iomem, 'proc/cmdline': 'ro add_efi_memmap\n' }).memoryMap).toEqual(ofIomem);
    expect(layoutOf({ ...map, ...iomem, 'proc/cmdline': 'ro xadd_efi_memmap\n' }).memoryMap).not.toEqual(
      ofIomem,
    );
  });
  test('overlaps go to the higher type, neighbours of one type are one', () => {
    const { memoryMap } = layoutOf(
      memmap(
        [0, 0xffff, 'System RAM'],
        [0x1_0000, 0x1_ffff, 'System RAM'],
        [0x8000, 0x8fff, 'ACPI Tables'],
        [0x7000, 0x8fff, 'Reserved'],
      ),
    );
    expect(memoryMap).toEqual([
      { start: 0, end: 0x7000, type: 'ram' },
      { start: 0x7000, end: 0x8000, type: 'reserved' },
      { start: 0x8000, end: 0x9000, type: 'acpi' },
      { start: 0x9000, end: 0x2_0000, type: 'ram' },
    ]);
  });
  test('a kind that nobody knows is reserved, with a warning', () => {
    const { memoryMap, warnings } = layoutOf(memmap([0, 0xfff, 'constructor'], [0x1000, 0x1fff, 'Odd']));
    expect(memoryMap).toEqual([{ start: 0, end: 0x2000, type: 'reserved' }]);
    expect(warnings.filter((text) => /unknown kind/.test(text))).toEqual([
      'memory of the unknown kind "constructor" is taken for reserved memory',
      'memory of the unknown kind "Odd" is taken for reserved memory',
    ]);
  });
  test.each([
    ['no end', { 'sys/firmware/memmap/0/end': '' }],
    ['an end before its start', { 'sys/firmware/memmap/0/end': '0x10\n' }],
    ['more than a number holds', { 'sys/firmware/memmap/0/end': '0xffffffffffffffff\n' }],
  ])('an entry with %s is an error that names it', (_, wrong) => {
    expect(() => layoutOf({ ...map, ...wrong })).toThrow(/sys\/firmware\/memmap\/0: /);
  });
});

describe('/proc/kcore', () => {
  const iomem = { 'proc/iomem': '00100000-3fffffff : System RAM\n  01000000-01ffffff : Kernel code\n' };
  const text = [0xffff_ffff_8a00_0000n, 0x100_0000n] as const;
  const vmalloc = [0xffff_c900_0000_0000n, 0xffff_ffff_ffff_ffffn] as const;
  const modules = [0xffff_ffff_c000_0000n, 0xffff_ffff_ffff_ffffn] as const;
  /** The kernel's first page by its other address, with RAM below it. */
  const ram = [0xffff_9a40_0010_0000n, 0x10_0000n] as const;
  const alias = [0xffff_9a40_0100_0000n, 0x100_0000n] as const;

  test.each([
    ['text first', [text, vmalloc, modules, ram]],
    ['text last', [vmalloc, modules, alias, ram, text]],
    ['five levels of page tables', [text, [...vmalloc, 12800n << 40n] as const, ram]],
  ])('%s', (_, loads) => {
    const { kernelText, pageOffset, warnings } = layoutOf({ ...iomem, 'proc/kcore': kcore(...loads) });
    expect(kernelText).toEqual({ vaddr: text[0], paddr: 0x100_0000, size: 4096 });
    expect(pageOffset).toBe(0xffff_9a40_0000_0000n);
    expect(warnings).toEqual([]);
  });
  test.each([
    ['it is not there', iomem, /kcore.*ENOENT|ENOENT.*kcore/],
    ['it is no core', { ...iomem, 'proc/kcore': 'no core'.repeat(20) }, /not an ELF file/],
    ['it is empty', { ...iomem, 'proc/kcore': '' }, /not an ELF file/],
    ['it ends in its header', { ...iomem, 'proc/kcore': kcore().subarray(0, 60) }, /needs 64 bytes/],
    ['it is cut off', { ...iomem, 'proc/kcore': kcore(text, ram).subarray(0, 100) }, /needs 56 bytes/],
    [
      'it lacks the text',
      { ...iomem, 'proc/kcore': kcore(ram, alias) },
      /nothing of the kernel at 0x1000000/,
    ],
    ['nobody says where the kernel is', { 'proc/kcore': kcore(text, ram) }, /iomem does not tell/],
  ] satisfies [string, Files, RegExp][])('%s: a warning, and no text', (_, files, why) => {
    const { kernelText, warnings } = layoutOf(files);
    expect(kernelText).toBeNull();
    expect(warnings).toContainEqual(expect.stringMatching(why));
  });
  test('memory is found also when the text is not', () => {
    expect(layoutOf({ 'proc/kcore': kcore(text, ram) }).pageOffset).toBe(0xffff_9a40_0000_0000n);
  });
  test('without it, memory is where the kernel has it without KASLR', () => {
    const cpuinfo = { 'proc/cpuinfo': 'flags\t\t: fpu la57 lm\n' };
    expect(layoutOf(cpuinfo).pageOffset).toBe(0xff11_0000_0000_0000n);
    expect(layoutOf({}).pageOffset).toBe(0xffff_8880_0000_0000n);
  });
});

test('notes of CPUs with gaps between them, and of a kernel that tells no size', () => {
  const at = (cpu: number, file: string) => `sys/devices/system/cpu/cpu${cpu}/${file}`;
  const { cpuNotes } = layoutOf({
    [at(10, 'crash_notes')]: '63fc39400\n',
    [at(10, 'crash_notes_size')]: '368\n',
    [at(2, 'crash_notes')]: '1000\n',
    [at(3, 'online')]: '1\n',
    'sys/devices/system/cpu/cpufreq/crash_notes': '2000\n',
  });
  expect(cpuNotes).toEqual([
    { cpu: 2, paddr: 0x1000, size: 1024 },
    { cpu: 10, paddr: 0x6_3fc3_9400, size: 368 },
  ]);
});

describe('what the firmware gave', () => {
  const bootParams = (rsdp: bigint): Files => {
    const bytes = Buffer.alloc(4096);
    bytes.writeBigUInt64LE(rsdp, 0x70);
    return { 'sys/kernel/boot_params/data': bytes };
  };
  const systab = {
    'sys/firmware/efi/systab': 'SMBIOS3=0x7000\nACPI20=0x7ff0014\nACPI=0x7ff0000\nSMBIOS=0x6000\n',
  };
  const efi = {
    'sys/firmware/efi/fw_vendor': '0x7e9ec018\n',
    'sys/firmware/efi/runtime': '0xfffffffeffbfdb18\n',
    'sys/firmware/efi/config_table': '0x7e9ecf18\n',
  };
  const region = (i: number, missing = ''): Files =>
    Object.fromEntries(
      Object.entries({
        type: '0x5\n',
        phys_addr: `0x${(0x7e00_0000 + i * 0x1000).toString(16)}\n`,
        virt_addr: '0xfffffffeffa00000\n',
        num_pages: '0x10\n',
        attribute: '0x800000000000000f\n',
      })
        .filter(([file]) => file !== missing)
        .map(([file, text]) => [`sys/firmware/efi/runtime-map/${i}/${file}`, text]),
    );

  test('boot_params say where ACPI begins; EFI does, where they do not', () => {
    expect(layoutOf({ ...bootParams(0x1234n), ...systab }).acpiRsdp).toBe(0x1234);
    expect(layoutOf({ ...bootParams(0n), ...systab }).acpiRsdp).toBe(0x7ff_0014);
    expect(layoutOf({ 'sys/firmware/efi/systab': 'ACPI=0x7ff0000\n' }).acpiRsdp).toBe(0x7ff_0000);
    expect(layoutOf(bootParams(0n)).acpiRsdp).toBeNull();
    expect(layoutOf(bootParams(0n)).bootParams).toHaveLength(4096);
  });
  test('boot_params of another size are none', () => {
    expect(layoutOf({ 'sys/kernel/boot_params/data': Buffer.alloc(4095, 1) }).bootParams).toBeNull();
  });
  test('EFI, and its regions in their order', () => {
    const regions = Object.assign({}, ...Array.from({ length: 11 }, (_, i) => region(i)));
    const facts = layoutOf({ ...efi, ...systab, ...regions }).efi!;
    expect(facts).toMatchObject({
      fw_vendor: 0x7e9e_c018n,
      runtime: 0xffff_fffe_ffbf_db18n,
      tables: 0x7e9e_cf18n,
      smbios: 0x6000n,
    });
    expect(facts.runtimeMap.map(({ phys_addr }) => phys_addr)).toEqual(
      Array.from({ length: 11 }, (_, i) => 0x7e00_0000 + i * 0x1000),
    );
    expect(facts.runtimeMap[0]).toEqual({
      type: 5,
      phys_addr: 0x7e00_0000,
      virt_addr: 0xffff_fffe_ffa0_0000n,
      num_pages: 16,
      attribute: 0x8000_0000_0000_000fn,
    });
  });
  test('a region that cannot be read: none of them, with a warning', () => {
    const layout = layoutOf({ ...efi, ...region(0), ...region(1, 'attribute') });
    expect(layout.efi).toMatchObject({ smbios: 0n, runtimeMap: [] });
    expect(layout.warnings).toContainEqual(expect.stringMatching(/runtime-map/));
  });
  test.each(Object.keys(efi))('EFI without %s is none', (missing) => {
    const files = Object.fromEntries(Object.entries(efi).filter(([path]) => path !== missing));
    expect(layoutOf(files).efi).toBeNull();
  });
});
