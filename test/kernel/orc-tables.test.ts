import { expect, test } from 'vitest';
import { OrcTables } from '../../src/kernel/orc-tables.ts';
import { fakeCore } from '../helpers/kernel.ts';

const tables = 0xffff_ffff_8200_0000n;
const text = 0xffff_ffff_8100_0000n;

/** A table of instructions at these offsets of the text, with the stack offset that goes with each. */
function open(
  entries: readonly (readonly [offset: number, sp: number])[],
  header?: string,
): OrcTables | undefined {
  const bytes = Buffer.alloc(4096);
  for (const [i, [offset, sp]] of entries.entries()) {
    bytes.writeInt32LE(Number(text + BigInt(offset) - (tables + BigInt(i * 4))), i * 4);
    bytes.writeInt16LE(sp, 1024 + i * 6);
    bytes.writeUInt16LE(5 | (2 << 8), 1024 + i * 6 + 4);
  }
  if (header !== undefined) Buffer.from(header, 'hex').copy(bytes, 2048);
  const core = fakeCore({
    pieces: [{ vaddr: tables, bytes }],
    symbols: {
      __start_orc_unwind_ip: tables,
      __stop_orc_unwind_ip: tables + BigInt(entries.length * 4),
      __start_orc_unwind: tables + 1024n,
      _end: tables + 4096n,
      ...(header === undefined ? {} : { __start_orc_header: tables + 2048n }),
    },
  });
  return OrcTables.open(core, () => []);
}

const header = 'fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24';

test('the entry that covers an instruction is the last one at or before it', () => {
  const entries = Array.from({ length: 100 }, (_, i) => [i * 16, i * 8] as const);
  const orc = open(entries, header)!;
  expect(orc.version).toBe(3);
  for (const offset of [0, 1, 15, 16, 500, 1583, 1584, 5000]) {
    const expected = Math.min(99, Math.floor(offset / 16)) * 8;
    expect(orc.find(text + BigInt(offset)), `${offset}`).toMatchObject({
      sp: 'sp',
      spOffset: expected,
      type: 'call',
    });
  }
  expect(orc.find(text - 1n)).toBeUndefined();
  expect(orc.find(tables + 8192n)).toBeUndefined();
});

test('tables of which nothing tells the kind are not read', () => {
  expect(open([[0, 8]])).toBeUndefined();
  expect(open([], header)).toBeUndefined();
});
