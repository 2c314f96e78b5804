import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeOrc, type OrcVersion, orcVersionOfHeader, orcVersionOfLayout } from '../../src/formats/orc.ts';

const entry = (sp: number, bp: number, flags: number): Buffer => {
  const bytes = Buffer.alloc(6);
  bytes.writeInt16LE(sp, 0);
  bytes.writeInt16LE(bp, 2);
  bytes.writeUInt16LE(flags, 4);
  return bytes;
};

test('a function that keeps its frame pointer, in the numbering of each version', () => {
  const expected = { sp: 'bp', spOffset: 16, bp: 'previous-sp', bpOffset: -16, type: 'call' };
  // sp_reg, bp_reg, then the type, which counts from 0 or, since 6.4, from undefined and end.
  expect(decodeOrc(entry(16, -16, 4 | (1 << 4)), 1)).toMatchObject(expected);
  expect(decodeOrc(entry(16, -16, 4 | (1 << 4)), 2)).toMatchObject(expected);
  expect(decodeOrc(entry(16, -16, 4 | (1 << 4) | (2 << 8)), 3)).toMatchObject(expected);
  expect(decodeOrc(entry(16, -16, 4 | (8 << 4) | (2 << 8)), 4)).toMatchObject(expected);
});

test('saved registers, and whether what follows is an instruction', () => {
  expect(decodeOrc(entry(0, 0, 5 | (1 << 8)), 1)).toMatchObject({
    sp: 'sp',
    type: 'registers',
    signal: true,
  });
  expect(decodeOrc(entry(0, 0, 5 | (2 << 8)), 1)).toMatchObject({ type: 'partial', signal: true });
  expect(decodeOrc(entry(8, 0, 5), 1)).toMatchObject({ type: 'call', signal: false });
  expect(decodeOrc(entry(0, 0, 5 | (1 << 8) | (1 << 10)), 2)).toMatchObject({
    type: 'registers',
    signal: true,
  });
  expect(decodeOrc(entry(0, 0, 3 | (4 << 8) | (1 << 11)), 4)).toMatchObject({
    sp: 'sp',
    type: 'partial',
    signal: true,
  });
});

test('the end of a stack, and what is not described', () => {
  expect(decodeOrc(entry(0, 0, 1 << 10), 1).type).toBe('end');
  expect(decodeOrc(entry(0, 0, 1 << 11), 2).type).toBe('end');
  expect(decodeOrc(entry(0, 0, 1 << 8), 3).type).toBe('end');
  for (const version of [1, 2, 3, 4] as const)
    expect(decodeOrc(entry(0, 0, 0), version).type).toBe('undefined');
});

test('the version by header, by layout and by the entry for frame pointers', () => {
  expect(orcVersionOfHeader(Buffer.from('fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24', 'hex'))).toBe(3);
  expect(orcVersionOfHeader(Buffer.alloc(20))).toBeUndefined();
  expect(orcVersionOfLayout({ signal: false, end: true }, undefined)).toBe(1);
  expect(orcVersionOfLayout({ signal: true, end: true }, undefined)).toBe(2);
  expect(orcVersionOfLayout({ signal: true, end: false }, entry(16, -16, 4 | (1 << 4) | (2 << 8)))).toBe(3);
  expect(orcVersionOfLayout({ signal: true, end: false }, entry(16, -16, 4 | (8 << 4) | (2 << 8)))).toBe(4);
  expect(orcVersionOfLayout({ signal: true, end: false }, undefined)).toBeUndefined();
});

test('any bytes are an entry', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 6, maxLength: 6 }),
      fc.constantFrom(1, 2, 3, 4),
      (bytes, version) => {
        const { sp, bp, type } = decodeOrc(bytes, version as OrcVersion);
        expect([sp, bp, type].every((word) => typeof word === 'string')).toBe(true);
      },
    ),
  );
});
