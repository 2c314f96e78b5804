import { expect, test } from 'vitest';
import { ElfSymbols } from '../../src/formats/elf-symbols.ts';
import { openFixture, readerOf } from '../helpers/vmlinux.ts';

type Row = [name: number, info: number, section: number, value: bigint];

function table(strings: string, rows: Row[]): ElfSymbols {
  const bytes = Buffer.alloc(24 * rows.length + 5);
  for (const [i, [name, info, section, value]] of rows.entries()) {
    bytes.writeUInt32LE(name, i * 24);
    bytes[i * 24 + 4] = info;
    bytes.writeUInt16LE(section, i * 24 + 6);
    bytes.writeBigUInt64LE(value, i * 24 + 8);
  }
  const text = Buffer.from(strings, 'latin1');
  return new ElfSymbols(
    { size: bytes.length, read: readerOf(bytes) },
    { size: text.length, read: readerOf(text) },
  );
}

const object = 1;
const global = 0x10;

test('a name is found also where it is the end of a longer one', () => {
  const symbols = table('\0mem_map\0', [[5, object, 1, 7n]]);
  expect(symbols.address('map')).toBe(7n);
  expect(symbols.address('mem_map')).toBeUndefined();
  expect(symbols.address('ma')).toBeUndefined();
  expect(symbols.address('')).toBeUndefined();
});

test('a global symbol counts before local ones, else the first', () => {
  const strings = '\0x\0y\0';
  const symbols = table(strings, [
    [1, object, 1, 1n],
    [1, object | global, 1, 2n],
    [3, object, 1, 3n],
    [3, object, 1, 4n],
  ]);
  expect(symbols.address('x')).toBe(2n);
  expect(symbols.address('y')).toBe(3n);
});

test('undefined symbols, files and sections are none', () => {
  const symbols = table('\0x\0', [
    [1, object | global, 0, 1n],
    [1, 4, 0xfff1, 2n],
    [1, 3, 1, 3n],
  ]);
  expect(symbols.address('x')).toBeUndefined();
});

test('symbols of a linked file', () => {
  const { symbols } = openFixture('dwarf5');
  expect(symbols.address('init_task')).toBeGreaterThan(0xffff_ffff_8100_0000n);
  expect(symbols.address('a.c')).toBeUndefined();
  expect(symbols.address('no_such_symbol')).toBeUndefined();
  expect(symbols.address('toString')).toBeUndefined();
});
