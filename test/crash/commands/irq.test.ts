import { expect, test } from 'vitest';
import { irq } from '../../../src/crash/commands/irq.ts';
import { BtfBuilder } from '../../helpers/btf.ts';
import { linesOf, sessionOf } from '../session-of.ts';

const start = 0xffff_ffff_8000_0000n;

test('irq -d: the handler of each vector, whose address is in three pieces', () => {
  const bytes = Buffer.alloc(0x2000);
  bytes.writeUInt16LE(0x1234, 16);
  bytes.writeUInt16LE(0x8000, 16 + 6);
  bytes.writeUInt32LE(0xffff_ffff, 16 + 8);
  const session = sessionOf({
    pieces: [{ vaddr: start, bytes }],
    symbols: { _text: start, idt_table: start, asm_exc_debug: start + 0x1230n, _end: start + 0x2000n },
    types: new BtfBuilder(),
  });
  const lines = linesOf(session, irq, '-d');
  expect(lines).toHaveLength(256);
  expect(lines[1]).toBe('  [1] asm_exc_debug+4');
  expect(lines[255]).toBe('[255] 0000000000000000');
  expect(() => linesOf(sessionOf({}), irq, '-d')).toThrow('no interrupt descriptor table');
});
