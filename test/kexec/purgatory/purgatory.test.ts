import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { optionsLayout, regionLayout, registersLayout } from '../../../src/kexec/purgatory/data.ts';
import {
  buildPurgatory,
  type PurgatoryOptions,
  purgatoryCode,
  purgatorySize,
} from '../../../src/kexec/purgatory/purgatory.ts';
import { readStruct } from '../../../src/lib/layout.ts';
import { instructionsOf } from '../../helpers/disassembly.ts';

const golden = fileURLToPath(new URL('../../fixtures/purgatory.golden', import.meta.url));
const { labels, bytes: code, codeBytes } = purgatoryCode();
const offset = (label: string): number => labels.get(label)!;
const plain: PurgatoryOptions = {
  registers: { rip: 0x0100_0200, rsi: 0x9000 },
  check: null,
  backup: null,
  console: { resetVga: false, vga: false, serial: null, verbose: false },
  jumpBack: null,
};
const optionsOf = (bytes: Uint8Array) => readStruct(optionsLayout, bytes, offset('options'));

// test/vm/purgatory.test.ts compares the golden with what objdump makes of the code.
test('the machine code is that of the golden disassembly', () => {
  const instructions = instructionsOf(readFileSync(golden, 'utf8'));
  const hex = Buffer.from(code.subarray(0, codeBytes)).toString('hex');
  let at = 0;
  for (const { offset, bytes, text } of instructions) {
    expect(offset).toBe(at);
    expect(hex.slice(2 * at, 2 * at + bytes.length), `${text} at ${at.toString(16)}`).toBe(bytes);
    at += bytes.length / 2;
  }
  expect(at).toBe(codeBytes);
});

test('no instruction needs SSE, x87 or more than 64-bit mode has; none is a stray byte', () => {
  const texts = instructionsOf(readFileSync(golden, 'utf8')).map(({ text }) => text);
  expect(texts.filter((text) => /\(bad\)|[xyz]?mm\d|\bst\b|^\.byte|^f[a-z]+ /.test(text))).toEqual([]);
});

test('all that differs from load to load is data, behind the code', () => {
  const { bytes, entry } = buildPurgatory({
    registers: { rip: 1, rsi: 2, rdi: 3, rsp: 4, rbx: 5, rax: 6, r15: 7 },
    check: { regions: [{ start: 0x1000, length: 0x2000 }], digest: new Uint8Array(32).fill(0xa5) },
    backup: { source: 0x1000, destination: 0x2000_0000, size: 0x9e000 },
    console: { resetVga: true, vga: true, serial: { port: 0x2f8, baud: 9600 }, verbose: true },
    jumpBack: { commandLineEnd: 0x1234 },
  });
  expect(bytes.length).toBe(code.length);
  expect(bytes.length).toBeLessThan(purgatorySize);
  expect(purgatorySize % 4096).toBe(0);
  expect(entry).toBe(0);
  expect(Buffer.from(bytes.subarray(0, codeBytes))).toEqual(Buffer.from(code.subarray(0, codeBytes)));
  expect(readStruct(registersLayout, bytes, offset('registers'))).toEqual({
    ...{ rax: 6, rbx: 5, rcx: 0, rdx: 0, rsi: 2, rdi: 3, rsp: 4, rbp: 0 },
    ...{ r8: 0, r9: 0, r10: 0, r11: 0, r12: 0, r13: 0, r14: 0, r15: 7, rip: 1 },
  });
  expect(optionsOf(bytes)).toMatchObject({
    ...{ check: 1, region_count: 1, command_line_end: 0x1234 },
    ...{ backup_source: 0x1000, backup_destination: 0x2000_0000, backup_size: 0x9e000 },
    ...{ verbose: 1, reset_vga: 1, vga: 1, serial: 1, serial_port: 0x2f8, serial_divisor: 12 },
  });
  expect(readStruct(regionLayout, bytes, offset('regions'))).toEqual({ start: 0x1000, length: 0x2000 });
  expect(Buffer.from(bytes).toString('latin1', offset('refusal'))).toMatch(
    /expected: (a5){32}\n {2}found: {4}\.{64}\n/,
  );
  // One load does not see another's.
  expect(buildPurgatory(plain).bytes).not.toEqual(bytes);
  expect(Buffer.from(purgatoryCode().bytes).equals(Buffer.from(code))).toBe(true);
});

test('nothing is checked, copied, told or shown unless asked for', () => {
  expect(optionsOf(buildPurgatory(plain).bytes)).toEqual({
    ...{ check: 0, region_count: 0, backup_source: 0, backup_destination: 0, backup_size: 0 },
    ...{ command_line_end: 0, verbose: 0, reset_vga: 0, vga: 0, serial: 0, serial_divisor: 0 },
    // A refusal is written to COM1 all the same.
    serial_port: 0x3f8,
    ...{ vga_origin: 0, vga_cell: 0, vga_column: 0 },
  });
});

test('lines fit a screen of 80 columns', () => {
  for (const text of ['greeting', 'refusal']) {
    const whole = Buffer.from(code.subarray(offset(text)))
      .toString('latin1')
      .split('\0')[0]!;
    for (const line of whole.split('\n')) expect(line.length, line).toBeLessThan(80);
  }
});

test('a table that has no room or a speed that no UART has is a mistake', () => {
  const region = { start: 0, length: 4096 };
  const check = { regions: new Array<typeof region>(16).fill(region), digest: new Uint8Array(32) };
  expect(() => buildPurgatory({ ...plain, check })).not.toThrow();
  const refused: Partial<PurgatoryOptions>[] = [
    { check: { ...check, regions: [...check.regions, region] } },
    { check: { ...check, digest: new Uint8Array(31) } },
    { console: { ...plain.console, serial: { port: 0x3f8, baud: 7000 } } },
    { console: { ...plain.console, serial: { port: 0x3f8, baud: 1 } } },
  ];
  for (const options of refused) expect(() => buildPurgatory({ ...plain, ...options })).toThrow(RangeError);
});
