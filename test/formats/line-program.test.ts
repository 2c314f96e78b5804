import { expect, test } from 'vitest';
import { lineUnits, runLineProgram } from '../../src/formats/dwarf/line-program.ts';

/** A unit of version 5 with twelve standard opcodes, line_base -5 and line_range 14, as gcc writes them. */
function unit(program: readonly number[]): Buffer {
  const header = [1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
  const bytes = Buffer.alloc(4 + 2 + 2 + 4);
  bytes.writeUInt32LE(8 + header.length + program.length, 0);
  bytes.writeUInt16LE(5, 4);
  bytes.writeUInt8(8, 6);
  bytes.writeUInt32LE(header.length, 8);
  return Buffer.concat([bytes, Buffer.from([...header, ...program])]);
}

const address = (value: number): number[] => {
  const bytes = Buffer.alloc(8, 0xff);
  bytes.writeUInt32LE(value, 0);
  return [0, 9, 2, ...bytes];
};
const special = (lines: number, length: number): number => lines + 5 + 14 * length + 13;

test('runs of addresses with their lines', () => {
  const program = [
    ...address(0x8100_0000),
    ...[3, 0xe3, 0, 1], // line 100, row
    special(2, 4), // 4 bytes on: line 102
    ...[4, 3, 2, 16, 1], // file 3, 16 bytes on
    ...[3, 0x7f, 8, 1], // a line back, as far on as opcode 255 goes
    ...[9, 0x10, 0, 0, 1, 1], // 16 bytes on, end
  ];
  const bytes = Buffer.concat([unit(program), unit([])]);
  const units = [...lineUnits(bytes)];
  expect(units.map(({ end }) => end)).toEqual([bytes.length - unit([]).length, bytes.length]);
  const rows: unknown[] = [];
  runLineProgram(bytes, units[0]!, (from, to, file, line) =>
    rows.push([from - 0x8100_0000, to - 0x8100_0000, file, line]),
  );
  expect(rows).toEqual([
    [0, 4, 1, 100],
    [4, 20, 1, 102],
    [20, 37, 3, 102],
    [37, 53, 3, 101],
  ]);
});

test('what ends early is an error, and what is no unit ends the list', () => {
  const bytes = unit([2]);
  expect(() => runLineProgram(bytes, { start: 0, end: bytes.length }, () => {})).toThrow(RangeError);
  expect([...lineUnits(bytes.subarray(0, 20))]).toEqual([]);
  expect([...lineUnits(Buffer.alloc(64))]).toEqual([]);
});
