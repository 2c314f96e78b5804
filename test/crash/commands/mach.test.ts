import { expect, test } from 'vitest';
import { mach } from '../../../src/crash/commands/mach.ts';
import { BtfBuilder } from '../../helpers/btf.ts';
import { words } from '../../helpers/kernel.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_8000_0000_0000n;

/** A memory map of the firmware that says it has so many entries; there is room for two. */
function memory(count: number) {
  const btf = new BtfBuilder();
  const [long, int] = [btf.int('long unsigned int', 8), btf.int('unsigned int', 4)];
  const entry = btf.struct('e820_entry', 20, [
    ['addr', long, 0],
    ['size', long, 64],
    ['type', btf.enum('e820_type', { E820_TYPE_RAM: 1, E820_TYPE_RESERVED: 2 }), 128],
  ]);
  btf.struct('e820_table', 44, [
    ['nr_entries', int, 0],
    ['entries', btf.array(entry, 2), 32],
  ]);
  const bytes = Buffer.alloc(4096);
  words(start + 8n).copy(bytes);
  bytes.writeUInt32LE(count, 8);
  words(0, 0xa0000).copy(bytes, 12);
  bytes.writeUInt32LE(1, 28);
  words(0xf0000, 0x10000).copy(bytes, 32);
  bytes.writeUInt32LE(2, 48);
  return sessionOf({ pieces: [{ vaddr: start, bytes }], symbols: { e820_table: start }, types: btf });
}

test('memory as the firmware described it; a count beyond the table ends with it', () => {
  const lines = [
    '      PHYSICAL ADDRESS RANGE         TYPE',
    '0000000000000000 - 00000000000a0000  E820_RAM',
    '00000000000f0000 - 0000000000100000  E820_RESERVED',
  ];
  expect(linesOf(memory(2), mach, '-m')).toEqual(lines);
  expect(linesOf(memory(1), mach, '-m')).toEqual(lines.slice(0, 2));
  expect(linesOf(memory(1000), mach, '-m')).toEqual(lines);
});

test('a kernel of which little is known', () => {
  expect(linesOf(sessionOf({}), mach, '-m')).toEqual([
    'mach: this kernel keeps no memory map of the firmware',
  ]);
  expect(linesOf(sessionOf({}), mach, '')).toContain('             PAGE SIZE: 4096');
});
