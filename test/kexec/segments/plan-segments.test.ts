import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bootParamsLayout } from '../../../src/formats/boot-params.ts';
import { PT_LOAD, readElfCore } from '../../../src/formats/elf.ts';
import { readLayout } from '../../../src/kexec/layout/read-layout.ts';
import { optionsLayout, regionLayout, registersLayout } from '../../../src/kexec/purgatory/data.ts';
import { purgatoryCode } from '../../../src/kexec/purgatory/purgatory.ts';
import { planSegments, type SegmentPlan } from '../../../src/kexec/segments/plan-segments.ts';
import type { SegmentName } from '../../../src/kexec/segments/segment.ts';
import { KdumpError } from '../../../src/lib/errors.ts';
import { readStruct } from '../../../src/lib/layout.ts';
import { intersect, type Range, totalLength } from '../../../src/lib/ranges.ts';
import { errorOf, fixtureRoot } from '../fixtures.ts';
import {
  bzImageOf,
  efiFacts,
  type InputChanges,
  inputOf,
  layoutOf,
  MIB,
  sparse,
  vmlinuxOf,
} from './images.ts';

const planOf = (changes: InputChanges = {}) => planSegments(inputOf(changes));
const hex = (value: number) => `0x${value.toString(16)}`;
const sha256 = (...parts: Uint8Array[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex');

function segmentOf(plan: SegmentPlan, name: SegmentName) {
  const segment = plan.segments.find((one) => one.name === name);
  if (segment === undefined) throw new Error(`there is no segment for ${name}`);
  return segment;
}

/** What the purgatory of a plan was told. */
function purgatoryOf(plan: SegmentPlan) {
  const { bytes, mem } = segmentOf(plan, 'purgatory');
  const at = (label: string) => purgatoryCode().labels.get(label)!;
  const options = readStruct(optionsLayout, bytes, at('options'));
  return {
    ...options,
    ...readStruct(registersLayout, bytes, at('registers')),
    entry: mem + at('start'),
    expected: Buffer.from(bytes.subarray(at('expected'), at('expected') + 32)).toString('hex'),
    regions: Array.from({ length: options.region_count }, (_, i) =>
      readStruct(regionLayout, bytes, at('regions') + i * regionLayout.size),
    ),
  };
}

/** A plan for people to read: addresses in hexadecimal, digests for bytes. The purgatory has a golden of its own. */
function readable({ entry, segments, e820, digest, ...rest }: SegmentPlan): string {
  const plan = {
    segments: segments.map(({ name, bytes, mem, memsz, verified }) => ({
      name,
      mem: hex(mem),
      memsz: hex(memsz),
      verified,
      ...(name === 'purgatory' ? {} : { bytes: bytes.length, sha256: sha256(bytes) }),
    })),
    digest,
    e820: e820.map(({ start, end, type }) => `${hex(start)}-${hex(end - 1)} ${type}`),
    ...rest,
  };
  return `${JSON.stringify(plan, null, 2)}\n`;
}

/** The kernel and the initrd of the worked example. */
const example = {
  kernel: bzImageOf(14149568),
  initrd: sparse(3_000_000),
  randomSeed: new Uint8Array(32),
};
const onTree = (tree: string, changes: InputChanges = {}) =>
  planOf({ ...example, layout: readLayout(fixtureRoot(tree)), ...changes });
const golden = (tree: string, name: string) => `${fixtureRoot(tree)}/segments-${name}.golden`;

describe('plans, whole', () => {
  test('a normal load on a machine of 16 GiB, kernel and initrd where kexec-tools puts them', async () => {
    const plan = onTree('vm-16g', { type: 'normal', commandLine: 'console=ttyS0 root=/dev/vda1' });
    expect(segmentOf(plan, 'kernel')).toMatchObject({ mem: 0x63cc00000, memsz: 0x3378000 });
    expect(segmentOf(plan, 'kernel').bytes.length).toBe(14129088);
    expect(segmentOf(plan, 'initrd')).toMatchObject({ mem: 0x63c923000, memsz: 0x2dd000 });
    await expect(readable(plan)).toMatchFileSnapshot(golden('vm-16g', 'normal'));
  });
  test.each(['lab-1g', 'lab-6g-high'])('a crash kernel on %s', async (tree) => {
    await expect(readable(onTree(tree))).toMatchFileSnapshot(golden(tree, 'panic'));
  });
});

describe('a crash kernel', () => {
  const plan = planOf();
  const [region] = layoutOf().crashRegions;
  test('has everything in the reserved memory', () => {
    for (const { mem, memsz } of plan.segments) {
      expect(mem).toBeGreaterThanOrEqual(region!.start);
      expect(mem + memsz).toBeLessThanOrEqual(region!.end);
    }
    expect(plan.segments.map(({ name }) => name).sort()).toEqual(
      ['kernel', 'initrd', 'boot_params', 'purgatory', 'elfcorehdr', 'backup'].sort(),
    );
  });
  test('goes into the highest region only', () => {
    const high = { start: 0x1_0000_0000, end: 0x1_1000_0000 };
    const layout = layoutOf({
      crashRegions: [high, { start: 0x30000000, end: 0x3c000000 }],
      ram: [...layoutOf().ram, { start: 0x1_0000_0000, end: 0x2_0000_0000 }],
    });
    const { segments, e820 } = planOf({ layout });
    expect(segments.every(({ mem }) => mem >= high.start && mem < high.end)).toBe(true);
    expect(e820).toContainEqual({ start: 0x30000000, end: 0x3c000000, type: 'ram' });
  });
  test('is told where the ELF core header is, and keeps off it', () => {
    const { mem, memsz } = segmentOf(plan, 'elfcorehdr');
    expect(plan.commandLine).toBe(`console=ttyS0 nr_cpus=1 acpi_rsdp=0xf5270 elfcorehdr=${mem / 1024}K`);
    const ram = plan.e820.filter(({ type }) => type === 'ram');
    expect(intersect(ram, [{ start: mem, end: mem + memsz }])).toEqual([]);
    const params = segmentOf(plan, 'boot_params').bytes;
    expect(Buffer.from(params.subarray(4096, 4096 + plan.commandLine.length + 1)).toString()).toBe(
      `${plan.commandLine}\0`,
    );
  });
  test('uses low memory, which the purgatory saves to where the header says', () => {
    const backup = segmentOf(plan, 'backup');
    expect(backup).toMatchObject({ memsz: 0x9f000, verified: false });
    expect(purgatoryOf(plan)).toMatchObject({
      backup_source: 0x1000,
      backup_destination: backup.mem,
      backup_size: 0x9ec00,
    });
    const ram = plan.e820.filter(({ type }) => type === 'ram');
    expect(ram[0]).toMatchObject({ start: 0x1000, end: 0x9fc00 });
    expect(intersect(ram, [{ start: backup.mem, end: backup.mem + backup.memsz }])).toEqual([]);
    const { bytes } = segmentOf(plan, 'elfcorehdr');
    const elf = readElfCore((offset, length) => bytes.subarray(offset, offset + length), 'elfcorehdr');
    const low = elf.programHeaders.find(({ type, paddr }) => type === PT_LOAD && paddr === 0x1000n);
    expect(low).toMatchObject({ offset: backup.mem, memsz: 0x9ec00 });
  });
  test('does without low memory when there is none, and takes the largest part of it', () => {
    const ram = layoutOf().ram.slice(1);
    const without = planOf({ layout: layoutOf({ ram }) });
    expect(without.segments.map(({ name }) => name)).not.toContain('backup');
    expect(purgatoryOf(without).backup_size).toBe(0);
    const parts = [{ start: 0x1000, end: 0x2000 }, { start: 0x10000, end: 0x90000 }, ...ram];
    expect(purgatoryOf(planOf({ layout: layoutOf({ ram: parts }) })).backup_source).toBe(0x10000);
  });
  test('has a header that may be rewritten with --hotplug', () => {
    const hot = planOf({ placing: { hotplug: true } });
    const header = segmentOf(hot, 'elfcorehdr');
    expect(header).toMatchObject({ memsz: 0x20000, verified: false });
    expect(purgatoryOf(hot).regions.map(({ start }) => start)).not.toContain(header.mem);
    expect(segmentOf(plan, 'elfcorehdr').verified).toBe(true);
  });
  test('is told of its memory in words with --pass-memmap-cmdline', () => {
    const words = planOf({ placing: { memmapOnCommandLine: true } });
    expect(words.commandLine).toMatch(/ memmap=exactmap memmap=635K@4K memmap=\d+K@786432K memmap=128K#/);
    expect(words.e820).toEqual(layoutOf().memoryMap);
  });
});

describe('the purgatory', () => {
  const plan = planOf();
  test('starts the kernel at its 64-bit entry with boot_params', () => {
    expect(purgatoryOf(plan)).toMatchObject({
      entry: plan.entry,
      rip: segmentOf(plan, 'kernel').mem + 0x200,
      rsi: segmentOf(plan, 'boot_params').mem,
      check: 1,
      verbose: 0,
      command_line_end: 0,
    });
    expect(planOf({ placing: { entry: 0x30001234 } }).entry).toBe(0x30001234);
  });
  test('checks all that was loaded, with the zeros behind it', () => {
    const verified = plan.segments.filter(({ name }) => !['purgatory', 'backup'].includes(name));
    expect(verified.every((segment) => segment.verified)).toBe(true);
    const { regions, expected } = purgatoryOf(plan);
    expect(regions).toEqual(verified.map(({ mem, memsz }) => ({ start: mem, length: memsz })));
    const memory = verified.map(({ bytes, memsz }) => {
      const filled = new Uint8Array(memsz);
      filled.set(bytes);
      return filled;
    });
    expect(expected).toBe(sha256(...memory));
    expect(plan.digest).toBe(expected);
  });
  test('checks nothing with --no-checks', () => {
    const unchecked = planOf({ placing: { checks: false } });
    expect(unchecked.digest).toBeNull();
    expect(purgatoryOf(unchecked)).toMatchObject({ check: 0, regions: [] });
  });
  test.each([
    ['console=ttyS0', {}, { serial: 1, serial_port: 0x3f8, verbose: 0 }],
    ['console=ttyS0 console=ttyS3,115200n8 console=tty0', {}, { serial: 1, serial_port: 0x2e8 }],
    ['console=ttyS4 console=ttyS1x xconsole=ttyS1', {}, { serial: 0 }],
    ['console=ttyS1', { serial: true }, { serial: 1, serial_port: 0x2f8, verbose: 1 }],
    ['quiet', { serial: true }, { serial: 1, serial_port: 0x3f8, verbose: 1 }],
    [
      'console=ttyS1',
      { port: { port: 0x3e8, baud: 9600 } },
      { serial: 1, serial_port: 0x3e8, serial_divisor: 12, verbose: 0 },
    ],
    ['quiet', { vga: true, resetVga: true }, { serial: 0, vga: 1, reset_vga: 1, verbose: 1 }],
  ])('talks where it is asked to: %s %j', (commandLine, console, expected) => {
    const asked = { resetVga: false, vga: false, serial: false, port: null, ...console };
    expect(purgatoryOf(planOf({ commandLine, placing: { console: asked } }))).toMatchObject(expected);
  });
});

describe('a normal load', () => {
  test('uses any RAM but the interrupt vectors, and hands on the map of the firmware', () => {
    const plan = planOf({ type: 'normal' });
    expect(plan.e820).toEqual(layoutOf().memoryMap);
    expect(segmentOf(plan, 'purgatory').mem).toBeGreaterThan(0x3f000000);
    expect(plan.commandLine).toBe('console=ttyS0 nr_cpus=1');
    expect(plan.segments).toHaveLength(4);
    const low = planOf({ type: 'normal', placing: { memMax: 64 * MIB - 1 } });
    expect(segmentOf(low, 'purgatory').mem).toBeLessThan(64 * MIB);
    const none = errorOf(() => planOf({ type: 'normal', placing: { memMax: 0xfff } }));
    expect(none).toMatchObject({ code: 'no-room', exitCode: 255 });
  });
  test('says where ACPI is when EFI cannot be handed over', () => {
    const plan = planOf({ type: 'normal', layout: layoutOf({ efi: efiFacts }) });
    expect(plan.commandLine).toMatch(/ acpi_rsdp=0xf5270$/);
    expect(plan.warnings).toEqual([expect.stringMatching(/EFI/)]);
    expect(planOf({ type: 'normal', placing: { efi: false } }).warnings).toEqual([]);
  });
  test('keeps the kernel above the address that it prefers, and the initrd above 16 MiB', () => {
    const within = (memMax: number, changes: InputChanges = {}) =>
      errorOf(() => planOf({ type: 'normal', placing: { memMax: memMax - 1 }, ...changes })).message;
    expect(within(16 * MIB)).toMatch(/^no room for the kernel: .*, not below 0x1000000;/);
    const early = bzImageOf(2 * MIB, { init_size: 4 * MIB, pref_address: 0n });
    expect(within(16 * MIB, { kernel: early })).toMatch(/^no room for the initrd: .*, not below 0x1000000;/);
    expect(within(4 * MIB, { kernel: early })).toMatch(/^no room for the kernel: .*, not below 0x100000;/);
  });
  test('without an initrd says so', () => {
    const { bytes } = segmentOf(planOf({ type: 'normal', initrd: null }), 'boot_params');
    expect(readStruct(bootParamsLayout, bytes)).toMatchObject({ ramdisk_image: 0, ramdisk_size: 0 });
  });
});

describe('a vmlinux', () => {
  const vmlinux = vmlinuxOf(
    [
      { paddr: 0x1000000, bytes: Buffer.from('text'), memsz: MIB },
      { paddr: 0x1200000, bytes: Buffer.from('data'), memsz: 3 * MIB },
    ],
    0x1000002n,
  );
  test('stays where it was linked for', () => {
    const plan = planOf({ kernel: vmlinux, type: 'normal' });
    expect(segmentOf(plan, 'kernel')).toMatchObject({ mem: 0x1000000, memsz: 5 * MIB });
    const { mem } = segmentOf(plan, 'boot_params');
    expect(purgatoryOf(plan)).toMatchObject({ rip: 0x1000002, rsi: mem });
  });
  test.each([
    ['for a crash', {}],
    ['when that is not free', { type: 'normal', placing: { memMin: 0x1100000 } }],
  ] as const)('is moved by a multiple of 2 MiB %s, its entry with it', (_when, changes) => {
    const plan = planOf({ kernel: vmlinux, ...changes });
    const { mem } = segmentOf(plan, 'kernel');
    expect(mem % (2 * MIB)).toBe(0);
    expect(mem).toBeGreaterThan(0x30000000 - 2 * MIB);
    expect(purgatoryOf(plan).rip).toBe(mem + 2);
  });
  test('can be told nothing', () => {
    const none = { kernel: vmlinux, type: 'normal', initrd: null, commandLine: '' } as const;
    const plan = planOf({ ...none, placing: { elfArguments: 'none' } });
    expect(plan.segments.map(({ name }) => name)).toEqual(['kernel', 'purgatory']);
    expect(purgatoryOf(plan)).toMatchObject({ rip: 0x1000002, rsi: 0 });
    for (const more of [{ initrd: sparse(1) }, { commandLine: 'a' }, { type: 'crash' as const }]) {
      const lost = errorOf(() => planOf({ ...none, ...more, placing: { elfArguments: 'none' } }));
      expect(lost.code).toBe('kernel-arguments');
    }
    const notes = errorOf(() => planOf({ ...none, placing: { elfArguments: 'elf' } }));
    expect(notes.message).toMatch(/^--args-elf: ELF boot notes/);
  });
});

describe('a kernel that gives memory back', () => {
  const placing = { preserveContext: true, memMax: 64 * MIB - 1 };
  const plan = planOf({ type: 'normal', placing });
  test('has every page exchanged that it may use', () => {
    const expected = [
      { start: 0x1000, end: 0x9f000 },
      { start: 0x100000, end: 64 * MIB },
    ];
    const all = plan.segments.map(({ mem, memsz }) => ({ start: mem, end: mem + memsz }));
    expect(totalLength(all)).toBe(totalLength(expected));
    expect(intersect(all, expected)).toEqual(expected);
    expect(plan.e820.filter(({ type }) => type === 'ram').at(-1)!.end).toBeLessThanOrEqual(64 * MIB);
  });
  test('is told the way back behind its command line', () => {
    const { mem, bytes } = segmentOf(plan, 'boot_params');
    const end = purgatoryOf(plan).command_line_end - mem;
    expect(Buffer.from(bytes.subarray(4096, end)).toString()).toBe(plan.commandLine);
    expect([...bytes.subarray(end, end + 42)]).toEqual(new Array(42).fill(0));
  });
});

describe('refused before anything is touched', () => {
  test('a command line that is longer than the kernel takes, to the byte, with what is added', () => {
    const spare = 2047 - Buffer.byteLength(planOf({ commandLine: '' }).commandLine) - 1;
    const longest = planOf({ commandLine: 'x'.repeat(spare) });
    expect(Buffer.byteLength(longest.commandLine)).toBe(2047);
    const error = errorOf(() => planOf({ commandLine: 'x'.repeat(spare + 1) }));
    expect(error).toMatchObject({ code: 'command-line-too-long', exitCode: 255 });
    expect(error.message).toMatch(/has 2048 bytes .* takes 2047/);
    const text = 'x'.repeat(2047);
    expect(planOf({ type: 'normal', commandLine: text }).commandLine).toBe(text);
  });
  test('what does not fit, by name', () => {
    const error = errorOf(() => planOf({ initrd: sparse(190 * MIB) }));
    expect(error).toMatchObject({ code: 'no-room', exitCode: 255 });
    expect(error.message).toMatch(/^no room for the initrd: 199229440 bytes/);
  });
  test('more than half of the RAM', () => {
    // Half of 32 MiB: what is reserved for a crash kernel is none of the running kernel's.
    const ram = [
      { start: MIB, end: 33 * MIB },
      { start: 0x30000000, end: 0x3c000000 },
    ];
    const load = (size: number) =>
      planOf({ type: 'normal', layout: layoutOf({ ram }), initrd: sparse(size) });
    const rest = 16 * MIB - 4 * MIB - 0x3000 - 0x2000;
    expect(segmentOf(load(rest), 'initrd').memsz).toBe(rest);
    expect(errorOf(() => load(rest + 1)).code).toBe('image-too-large');
  });
  test('an entry point outside the reserved memory, which the kernel finds out too late', () => {
    expect(errorOf(() => planOf({ placing: { entry: 0x1000 } })).code).toBe('bad-entry');
  });
  test('a machine that says nothing', () => {
    expect(errorOf(() => planOf({ layout: layoutOf({ crashRegions: [] }) })).code).toBe('no-crash-region');
    const blank = layoutOf({ memoryMap: [] });
    expect(errorOf(() => planOf({ type: 'normal', layout: blank })).code).toBe('no-memory-map');
  });
});

function planOrError(load: () => SegmentPlan): SegmentPlan | KdumpError {
  try {
    return load();
  } catch (error) {
    if (error instanceof KdumpError) return error;
    throw error;
  }
}

describe('whatever the machine', () => {
  const page = 4096;
  const machine = fc
    .array(fc.tuple(fc.nat(40_000), fc.integer({ min: 1, max: 60_000 })), { minLength: 1, maxLength: 8 })
    .map((parts) => {
      const ram: Range[] = [];
      let at = 0;
      for (const [gap, pages] of parts) {
        ram.push({ start: (at + gap) * page, end: (at + gap + pages) * page });
        at += gap + pages;
      }
      return ram;
    });
  test('segments are disjoint, in whole pages, and where they may be', () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 64 * MIB }));
    const kinds = fc.record({ crash: fc.boolean(), high: fc.boolean(), hotplug: fc.boolean() });
    let planned = 0;
    fc.assert(
      fc.property(machine, sizes, kinds, fc.nat(), (ram, [mib, initrd], kind, pick) => {
        const region = ram[pick % ram.length]!;
        const half = Math.floor((region.end - region.start) / page / 2) * page;
        const reserved = { start: region.start + half, end: region.end };
        const layout = layoutOf({
          ram,
          memoryMap: ram.map((range) => ({ ...range, type: 'ram' as const })),
          crashRegions: kind.crash ? [reserved] : [],
        });
        const load = () =>
          planOf({
            layout,
            type: kind.crash ? 'crash' : 'normal',
            kernel: bzImageOf(MIB, { init_size: mib * MIB }),
            initrd: sparse(initrd),
            placing: { hotplug: kind.hotplug, checks: false },
          });
        const plan = planOrError(load);
        if (plan instanceof KdumpError) {
          expect(['no-room', 'image-too-large']).toContain(plan.code);
          return;
        }
        planned++;
        const ranges = plan.segments.map(({ mem, memsz }) => ({ start: mem, end: mem + memsz }));
        const sum = ranges.reduce((total, { start, end }) => total + end - start, 0);
        expect(totalLength(intersect(ranges, kind.crash ? [reserved] : ram))).toBe(sum);
        expect(sum).toBeLessThanOrEqual(totalLength(ram) / 2);
        for (const { mem, memsz, bytes } of plan.segments) {
          expect(mem % page).toBe(0);
          expect(memsz % page).toBe(0);
          expect(bytes.length).toBeLessThanOrEqual(memsz);
        }
        const kernel = segmentOf(plan, 'kernel');
        expect(kernel.mem % (2 * MIB)).toBe(0);
        expect(kernel.mem).toBeGreaterThanOrEqual(16 * MIB);
        const params = readStruct(bootParamsLayout, segmentOf(plan, 'boot_params').bytes);
        expect(params.ext_ramdisk_image * 2 ** 32 + params.ramdisk_image).toBe(segmentOf(plan, 'initrd').mem);
        expect(params.ramdisk_size).toBe(initrd);
      }),
      { numRuns: 200 },
    );
    expect(planned).toBeGreaterThan(20);
  });
});
