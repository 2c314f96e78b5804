import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  capabilities,
  hasCapability,
  type IomemRange,
  numberedEntries,
  parseIomem,
  rangesNamed,
  readBytes,
  readCommandLine,
  readFiveLevel,
  readHex,
  readIomem,
  readKexecState,
  readKexecSysctls,
  readLockdown,
  readMachineName,
  readMemTotal,
  readPossibleCpus,
  readVmcoreinfoPlace,
} from '../../src/system/proc.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'proc-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

describe('iomem', () => {
  const text = `00001000-0009fbff : System RAM
00100000-bfffffff : System RAM
  01000000-020031ff : Kernel code
  af000000-bfffffff : Crash kernel
c0000000-febfffff : PCI Bus 0000:00
  fe000000-fe003fff : 0000:00:04.0
    fe000000-fe003fff : virtio-pci-modern
100000000-63fffffff : System RAM
  62f000000-63effffff : Crash kernel
`;
  test('keeps the nesting', () => {
    const { ranges, hidden } = parseIomem(text);
    expect(hidden).toBe(false);
    expect(ranges.map((r) => r.children.map((c) => c.name))).toEqual([
      [],
      ['Kernel code', 'Crash kernel'],
      ['0000:00:04.0'],
      ['Crash kernel'],
    ]);
    expect(ranges[2]!.children[0]!.children[0]!.name).toBe('virtio-pci-modern');
  });
  test('finds ranges at any depth by their whole name', () => {
    const { ranges } = parseIomem(text);
    expect(rangesNamed(ranges, 'Crash kernel').map((r) => [r.start, r.end])).toEqual([
      [0xaf000000, 0xbfffffff],
      [0x62f000000, 0x63effffff],
    ]);
    expect(rangesNamed(ranges, 'Crash')).toEqual([]);
  });
  test('sees that addresses are hidden', () => {
    expect(parseIomem('00000000-00000000 : System RAM\n  00000000-00000000 : Crash kernel\n').hidden).toBe(
      true,
    );
    expect(parseIomem('').hidden).toBe(false);
  });
  test.each([
    ['00001000-0009fbff System RAM', /line 1/],
    ['00000000-00000fff : a\n00002000-00001fff : b', /line 2/],
    ['    00000000-00000fff : too deep', /too deep/],
    ['00000000-ffffffffffffffff : beyond', /beyond/],
  ])('refuses %j', (bad, message) => {
    expect(() => parseIomem(bad, 'iomem')).toThrow(message);
  });
  test('reads back any tree', () => {
    const fields = {
      start: fc.nat(2 ** 30),
      end: fc.integer({ min: 2 ** 30, max: 2 ** 50 }),
      name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9 :.]{0,20}$/),
    };
    const { node } = fc.letrec<{ leaf: IomemRange; node: IomemRange }>((tie) => ({
      leaf: fc.record({ ...fields, children: fc.constant([]) }),
      node: fc.oneof(
        { maxDepth: 4 },
        tie('leaf'),
        fc.record({ ...fields, children: fc.array(tie('node'), { maxLength: 3 }) }),
      ),
    }));
    const print = (r: IomemRange, depth: number): string =>
      `${' '.repeat(2 * depth)}${r.start.toString(16)}-${r.end.toString(16)} : ${r.name}\n${r.children.map((c) => print(c, depth + 1)).join('')}`;
    fc.assert(
      fc.property(fc.array(node, { minLength: 1, maxLength: 5 }), (ranges) => {
        expect(parseIomem(ranges.map((r) => print(r, 0)).join('')).ranges).toEqual(ranges);
      }),
    );
  });
});

describe('single facts', () => {
  test('are null where the tree has nothing', () => {
    expect(readIomem(root)).toBeNull();
    expect(readCommandLine(root)).toBeNull();
    expect(readMemTotal(root)).toBeNull();
    expect(readLockdown(root)).toBeNull();
    expect(hasCapability(root, capabilities.CAP_SYS_BOOT)).toBeNull();
    expect(readPossibleCpus(root)).toBeNull();
    expect(readFiveLevel(root)).toBeNull();
    expect(readKexecSysctls(root)).toEqual({ loadDisabled: null, limitPanic: null, limitReboot: null });
    expect(readKexecState(root)).toEqual({
      loaded: null,
      crashLoaded: null,
      crashSize: null,
      elfcorehdrSize: null,
    });
  });
  test('kexec state under the old names and in the new directory, which wins', () => {
    put('sys/kernel/kexec_loaded', '0\n');
    put('sys/kernel/kexec_crash_loaded', '1\n');
    put('sys/kernel/kexec_crash_size', '201326592\n');
    put('sys/kernel/crash_elfcorehdr_size', '917616\n');
    const old = { loaded: false, crashLoaded: true, crashSize: 201326592, elfcorehdrSize: 917616 };
    expect(readKexecState(root)).toEqual(old);
    put('sys/kernel/kexec/crash_loaded', '0\n');
    put('sys/kernel/kexec/crash_size', '4096\n');
    expect(readKexecState(root)).toEqual({ ...old, crashLoaded: false, crashSize: 4096 });
  });
  test('a file that holds no number is no number', () => {
    put('sys/kernel/kexec_crash_size', 'many\n');
    expect(readKexecState(root).crashSize).toBeNull();
  });
  test.each([
    ['[none] integrity confidentiality', 'none'],
    ['none [integrity] confidentiality', 'integrity'],
    ['none integrity [confidentiality]', 'confidentiality'],
  ])('lockdown %s', (text, level) => {
    put('sys/kernel/security/lockdown', `${text}\n`);
    expect(readLockdown(root)).toBe(level);
  });
  test.each([
    ['000001ffffffffff', true],
    ['0000000000400000', true],
    ['00000000a80425fb', false],
    ['0000000000000000', false],
  ])('CapEff %s', (mask, expected) => {
    put('proc/self/status', `Name:\tnode\nCapInh:\tffffffffffffffff\nCapEff:\t${mask}\nCapBnd:\t0\n`);
    expect(hasCapability(root, capabilities.CAP_SYS_BOOT)).toBe(expected);
  });
  test.each([
    ['0', 1],
    ['0-15', 16],
    ['0-3,8-9,64', 7],
    ['', null],
  ])('possible CPUs %j', (text, count) => {
    put('sys/devices/system/cpu/possible', `${text}\n`);
    expect(readPossibleCpus(root)).toBe(count);
  });
  test('memory, command line, 5-level paging, machine', () => {
    put('proc/meminfo', 'MemTotal:         279140 kB\nMemFree: 1 kB\n');
    put('proc/cmdline', 'ro quiet \n');
    put('proc/cpuinfo', 'processor : 0\nflags\t\t: fpu la57 vme\n');
    put('proc/sys/kernel/arch', 'aarch64\n');
    expect(readMemTotal(root)).toBe(279140 * 1024);
    expect(readCommandLine(root)).toBe('ro quiet ');
    expect(readFiveLevel(root)).toBe(true);
    expect(readMachineName(root)).toBe('aarch64');
    put('proc/cpuinfo', 'flags\t\t: fpu la577 vme\n');
    expect(readFiveLevel(root)).toBe(false);
  });
});

describe('place of VMCOREINFO', () => {
  test.each([
    ['0x0000000001a2b000 1000\n', { paddr: 0x1a2b000, size: 4096 }],
    ['100000001000 2024\n', { paddr: 0x1000_0000_1000, size: 0x2024 }],
    ['', null],
    ['1000\n', null],
    ['1000 0\n', null],
    ['1000 ffffffff\n', null],
    ['ffffffffffffffff 1000\n', null],
  ])('%j', (text, place) => {
    put('sys/kernel/vmcoreinfo', text);
    expect(readVmcoreinfoPlace(root)).toEqual(place);
  });

  test('a kernel without the file', () => {
    expect(readVmcoreinfoPlace(root)).toBeNull();
  });
});

describe('files of numbers and bytes', () => {
  test.each([
    ['0x63fc39400\n', 0x6_3fc3_9400n],
    ['1bfc3da00\n', 0x1_bfc3_da00n],
    ['0xFFFFFFFEFFBFDB18', 0xffff_fffe_ffbf_db18n],
    ['', null],
    ['0x', null],
    ['0x10000000000000000', null],
    ['0x12 0x34', null],
  ])('hexadecimal %j', (text, value) => {
    put('file', text);
    expect(readHex(root, 'file')).toBe(value);
  });
  test('bytes as they are, null without a file', () => {
    put('file', 'a\0b');
    expect([...readBytes(root, 'file')!]).toEqual([0x61, 0, 0x62]);
    expect(readBytes(root, 'other')).toBeNull();
    expect(readHex(root, 'other')).toBeNull();
  });
  test('numbered entries by their number, not by their name', () => {
    for (const name of ['cpu10', 'cpu9', 'cpu', 'cpufreq', 'cpu2x', '7']) put(`list/${name}/file`, '');
    expect(numberedEntries(root, 'list', 'cpu')).toEqual([9, 10]);
    expect(numberedEntries(root, 'list')).toEqual([7]);
    expect(numberedEntries(root, 'nowhere')).toEqual([]);
  });
});
