import { describe, expect, test } from 'vitest';
import { BugTable } from '../../../src/crash/triage/bug-table.ts';
import { Kernel } from '../../../src/kernel/kernel.ts';
import { BtfBuilder } from '../../helpers/btf.ts';
import { fakeCore } from '../../helpers/kernel.ts';

const start = 0xffff_ffff_8200_0000n;
const code = 0xffff_ffff_8100_0000n;
const names = 0x800;

type Entry = { at: bigint; file: number; line: number; flags: number };
const entries: readonly Entry[] = [
  { at: code + 0x10n, file: 1, line: 435, flags: 0 },
  { at: code + 0x20n, file: 11, line: 12, flags: 1 | 2 },
  { at: code + 0x30n, file: 11, line: 13, flags: 1 | 2 | 4 },
  { at: code + 0x40n, file: 1, line: 14, flags: 1 | 4 },
];

/** @param own whether a distance counts from its own place, or from the entry @param size of an entry */
function kernel(own: boolean, size: number): Kernel {
  const types = new BtfBuilder();
  const [int, short] = [types.int('int', 4), types.int('unsigned short', 2)];
  types.struct('bug_entry', size, [
    ['bug_addr_disp', int, 0],
    ['file_disp', int, (size - 8) * 8],
    ['line', short, (size - 4) * 8],
    ['flags', short, (size - 2) * 8],
  ]);
  const bytes = Buffer.alloc(4096);
  bytes.write('\0mm/slub.c\0./net/core/dev.c\0', names, 'latin1');
  for (const [i, { at, file, line, flags }] of entries.entries()) {
    const entry = i * size;
    bytes.writeInt32LE(Number(at - start) - entry, entry);
    bytes.writeInt32LE(names + file - entry - (own ? size - 8 : 0), entry + size - 8);
    bytes.writeUInt16LE(line, entry + size - 4);
    bytes.writeUInt16LE(flags, entry + size - 2);
  }
  const end = start + BigInt(entries.length * size);
  const symbols = { __start___bug_table: start, __stop___bug_table: end };
  return new Kernel(fakeCore({ pieces: [{ vaddr: start, bytes }], symbols, types }), {});
}

describe.each([
  ['from their own places', true, 12],
  ['from the entry', false, 12],
  ['with a format in between', true, 16],
])('distances %s', (_, own, size) => {
  const table = new BugTable(kernel(own, size));

  test('a BUG() has its file and line', () => {
    expect(table.at(code + 0x10n)).toEqual({
      address: code + 0x10n,
      file: 'mm/slub.c',
      line: 435,
      warning: false,
      once: false,
      done: false,
    });
    expect(table.at(code + 0x11n)).toBeUndefined();
  });

  test('of warnings that are given once, those that were', () => {
    expect(table.warned().map(({ file, line }) => `${file}:${line}`)).toEqual(['net/core/dev.c:13']);
  });
});

test('a kernel without such a table', () => {
  expect(new BugTable(new Kernel(fakeCore({}), {})).warned()).toEqual([]);
});
