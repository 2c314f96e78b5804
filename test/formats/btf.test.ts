import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Btf, btfKind } from '../../src/formats/btf.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { BtfBuilder } from '../helpers/btf.ts';

/** A type of every kind. */
function everyKind(): BtfBuilder {
  const b = new BtfBuilder();
  const long = b.int('long unsigned int', 8);
  const size = b.link(btfKind.typedef, 'size_t', long);
  const constant = b.link(btfKind.const, '', size);
  const volatile = b.link(btfKind.volatile, '', constant);
  const restrict = b.link(btfKind.restrict, '', volatile);
  const tagged = b.link(btfKind.typeTag, 'rcu', restrict);
  const pointer = b.pointer(tagged);
  const bytes = b.array(long, 4);
  const rows = b.array(bytes, 3);
  const inner = b.union('', 16, [
    ['low', long, 0],
    ['word', long, 64],
  ]);
  b.struct('outer', 64, [
    ['first', tagged, 0],
    ['', inner, 64],
    ['rows', rows, 192],
    ['next', pointer, 448],
  ]);
  b.struct('flags', 8, [
    ['a', long, 0, 3],
    ['b', long, 13, 5],
  ]);
  b.enum('plain', { PLAIN_A: 1, PLAIN_B: 0xf000_0000 });
  b.enum('signed', { MINUS: -2 }, true);
  b.enum64('wide', { WIDE: 0x1_2345_6789n });
  b.enum64('wider', { NEGATIVE: -5n }, true);
  b.forward('declared');
  b.forward('declared_union', true);
  const proto = b.functionType(long, [['count', size]]);
  b.raw(btfKind.func, 'function', 1, proto);
  const variable = b.variable('runqueues', bytes);
  b.dataSection('.data..percpu', [[variable, 0, 32]]);
  b.float('double', 8);
  b.raw(btfKind.declTag, 'tag', 0, variable, [0xffff_ffff]);
  return b;
}

const only = (btf: Btf, name: string): number => {
  expect(btf.named(name)).toHaveLength(1);
  return btf.named(name)[0]!;
};

test('types are found by name, links looked through, sizes computed', () => {
  const btf = new Btf(everyKind().bytes(), 'test');
  expect(btf.length).toBe(25);
  expect(btf.kind(only(btf, 'size_t'))).toBe(btfKind.typedef);
  expect(btf.name(btf.strip(only(btf, 'size_t')))).toBe('long unsigned int');
  expect(btf.sizeOf(only(btf, 'size_t'))).toBe(8);
  expect(btf.sizeOf(only(btf, 'outer'))).toBe(64);
  expect(btf.sizeOf(only(btf, 'double'))).toBe(8);
  expect(btf.sizeOf(only(btf, 'declared'))).toBe(0);
  expect(btf.flag(only(btf, 'declared_union'))).toBe(true);
  expect(btf.kind(only(btf, 'function'))).toBe(btfKind.func);
  expect(btf.kind(btf.target(only(btf, 'function')))).toBe(btfKind.funcProto);
  expect(btf.array(btf.target(only(btf, 'runqueues')))).toEqual({ element: 1, length: 4 });
  expect(btf.named('nothing')).toEqual([]);
  expect(btf.named('')).toEqual([]);
  expect(btf.kind(1000)).toBe(btfKind.void);
  expect(btf.sizeOf(1000)).toBe(0);
});

test('members: through anonymous ones, of arrays, and bit-fields by their byte', () => {
  const btf = new Btf(everyKind().bytes(), 'test');
  const outer = only(btf, 'outer');
  expect(btf.member(outer, 'first')?.offset).toBe(0);
  expect(btf.member(outer, 'low')?.offset).toBe(8);
  expect(btf.member(outer, 'word')?.offset).toBe(16);
  const rows = btf.member(outer, 'rows')!;
  expect(rows.offset).toBe(24);
  expect(btf.sizeOf(rows.type)).toBe(96);
  const next = btf.member(outer, 'next')!;
  expect(btf.name(btf.strip(btf.target(next.type)))).toBe('long unsigned int');
  expect(btf.sizeOf(next.type)).toBe(8);
  expect(btf.member(only(btf, 'flags'), 'b')?.offset).toBe(1);
  expect(btf.member(outer, 'absent')).toBeUndefined();
  expect(btf.member(outer, 'plain')).toBeUndefined();
  expect(btf.member(only(btf, 'size_t'), 'first')).toBeUndefined();
});

test('constants of enums, 32 and 64 bits wide, with and without sign', () => {
  const btf = new Btf(everyKind().bytes(), 'test');
  expect(btf.enumerator('PLAIN_A')).toBe(1n);
  expect(btf.enumerator('PLAIN_B')).toBe(0xf000_0000n);
  expect(btf.enumerator('MINUS')).toBe(-2n);
  expect(btf.enumerator('WIDE')).toBe(0x1_2345_6789n);
  expect(btf.enumerator('NEGATIVE')).toBe(-5n);
  // A name that stands in the table, but is no constant.
  expect(btf.enumerator('outer')).toBeUndefined();
  expect(btf.enumerator('PLAIN')).toBeUndefined();
});

test('types that hold or mean themselves end', () => {
  const b = new BtfBuilder();
  b.link(btfKind.typedef, 'me', 1);
  b.struct('loop', 8, [
    ['', 2, 0],
    ['', 3, 0],
  ]);
  b.struct('other', 8, [
    ['', 2, 0],
    ['', 3, 0],
  ]);
  b.array(4, 7);
  const btf = new Btf(b.bytes(), 'test');
  expect(btf.strip(1)).toBe(0);
  expect(btf.sizeOf(1)).toBe(0);
  expect(btf.sizeOf(4)).toBe(0);
  b.string('wanted');
  expect(new Btf(b.bytes(), 'test').member(2, 'wanted')).toBeUndefined();
});

test('kinds of the future are skipped when the header tells how long they are', () => {
  const b = everyKind();
  b.raw(42, 'future', 2, 0, [1, 2, 3, 4, 5]);
  b.struct('after', 24, []);
  expect(() => new Btf(b.bytes(), 'test')).toThrow('kind 42');
  const layouts = Array.from({ length: 43 }, (_, kind) =>
    kind === 42 ? ([4, 8] as const) : ([0, 0] as const),
  );
  const btf = new Btf(b.bytes(layouts), 'test');
  expect(btf.sizeOf(only(btf, 'after'))).toBe(24);
  expect(btf.sizeOf(only(btf, 'outer'))).toBe(64);
});

test('what is no BTF is refused, saying why', () => {
  const whole = everyKind().bytes();
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(whole);
    change(bytes);
    return bytes;
  };
  const refusals: [Buffer, string][] = [
    [whole.subarray(0, 20), '20 bytes cannot hold a header'],
    [changed((b) => b.writeUInt16BE(0xeb9f, 0)), 'big-endian'],
    [changed((b) => b.writeUInt16LE(0x1234, 0)), 'magic is 0x1234'],
    [changed((b) => b.writeUInt8(2, 2)), 'version 2'],
    [whole.subarray(0, whole.length - 1), `the blob at ${whole.length - 1}`],
    [changed((b) => b.writeUInt32LE(whole.readUInt32LE(12) - 4, 12)), 'reaches beyond the end'],
    [changed((b) => b.writeUInt32LE(b.readUInt32LE(28) | (0x7f << 24), 28)), 'kind 127'],
    [changed((b) => b.writeUInt32LE(22, 4)), 'header of 22 bytes'],
  ];
  for (const [bytes, why] of refusals) {
    expect(() => new Btf(bytes, 'the blob')).toThrow(`the blob: not readable as BTF: `);
    expect(() => new Btf(bytes, 'the blob')).toThrow(why);
  }
});

test('changed bytes never crash or hang it', () => {
  const whole = everyKind().bytes([[0, 0]]);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(whole.length),
      (changes, cut) => {
        const bytes = Buffer.from(cut % 3 === 0 ? whole.subarray(0, cut) : whole);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        let btf: Btf;
        try {
          btf = new Btf(bytes, 'test');
        } catch (error) {
          expect(error).toBeInstanceOf(KdumpError);
          return;
        }
        for (let id = 0; id <= btf.length; id++) {
          btf.name(id);
          btf.array(btf.strip(btf.target(id)));
          expect(btf.sizeOf(id)).toBeGreaterThanOrEqual(0);
          btf.member(id, 'word');
        }
        btf.enumerator('WIDE');
        expect(btf.named('outer').every((id) => btf.name(id) === 'outer')).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});
