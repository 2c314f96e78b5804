import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { type Kallsyms, placesOfVmcoreinfo, readKallsyms } from '../../src/kernel/kallsyms.ts';
import { findKallsyms } from '../../src/kernel/kallsyms-scan.ts';
import { buildKallsyms, type KallsymsShape, type SymbolSpec } from '../helpers/kallsyms.ts';
import { pieceMemory } from '../helpers/piece-memory.ts';

const text = 0xffff_ffff_8100_0000n;
const tables = 0xffff_ffff_8200_0000n;

/** Symbols enough for a scan: the anchors, names of every length, one name that three symbols have. */
function symbolsOf(perCpu: boolean): SymbolSpec[] {
  const symbols: SymbolSpec[] = perCpu
    ? [
        { name: '__per_cpu_start', type: 'A', address: 0n },
        { name: 'runqueues', type: 'A', address: 0x12340n },
      ]
    : [];
  const add = (name: string, type = 't'): void => {
    symbols.push({ name, type, address: text + BigInt(symbols.length * 16) });
  };
  add('_text', 'T');
  symbols.push({ name: '_stext', type: 'T', address: symbols.at(-1)!.address });
  for (let i = 0; i < 4500; i++) add(i % 1500 === 7 ? 'duplicate' : `sym_${(i * 7919) % 4500}`);
  add('x'.repeat(126));
  add('y'.repeat(127));
  add(`long_${'z'.repeat(600)}`);
  add('init_uts_ns', 'D');
  add('prb', 'd');
  add('log_buf', 'd');
  add('last.llvm.123');
  add('last.llvm.5');
  add('last');
  return symbols;
}

const anchorsOf = (symbols: readonly SymbolSpec[]): string[] =>
  ['_stext', 'init_uts_ns', 'prb', 'log_buf'].map(
    (name) => `SYMBOL(${name})=${symbols.find((s) => s.name === name)!.address.toString(16)}`,
  );

const shapes: KallsymsShape[] = [
  { layout: '4.6', encoding: 'absolute' },
  { layout: '4.6', encoding: 'absolute-percpu' },
  { layout: '4.6', encoding: 'base-relative' },
  { layout: '6.2', encoding: 'absolute-percpu' },
  { layout: '6.4', encoding: 'absolute-percpu' },
  { layout: '6.4', encoding: 'base-relative' },
  { layout: '7.0', encoding: 'place-relative' },
];

function build(shape: KallsymsShape) {
  const symbols = symbolsOf(shape.encoding === 'absolute-percpu');
  const { piece, lines, at } = buildKallsyms(symbols, shape, tables);
  // Something before and after, as in an image.
  const around = Buffer.concat([Buffer.alloc(4096, 0x11), piece.bytes, Buffer.alloc(4096, 0x22)]);
  const memory = pieceMemory([{ vaddr: tables - 4096n, bytes: around }]);
  const anchors = anchorsOf(symbols);
  return { symbols, memory, around, at, anchors, info: new Vmcoreinfo([...anchors, ...lines].join('\n')) };
}

const image = { start: tables - 0x10_0000n, end: tables + 0x20_0000n };

function expectAll(found: Kallsyms, symbols: readonly SymbolSpec[]): void {
  expect([...found.entries()]).toEqual(symbols.map(({ name, type, address }) => ({ address, name, type })));
  expect(found.length).toBe(symbols.length);
  for (let i = 0; i < symbols.length; i += 97)
    expect(found.address(symbols[i]!.name)).toBe(first(symbols, symbols[i]!.name));
  for (const name of [
    'duplicate',
    'prb',
    'last',
    `long_${'z'.repeat(600)}`,
    'x'.repeat(126),
    'y'.repeat(127),
  ])
    expect(found.address(name), name).toBe(first(symbols, name));
  for (const name of ['', 'sym', 'sym_1x', 'zzz', 'AAA', 'duplicat', 'duplicate2'])
    expect(found.address(name), name).toBeUndefined();
}

const first = (symbols: readonly SymbolSpec[], name: string): bigint | undefined =>
  symbols.find((symbol) => symbol.name === name)?.address;

describe.each(shapes)('tables of $layout, addresses $encoding', (shape) => {
  const { symbols, memory, info, anchors } = build(shape);

  test('are read where VMCOREINFO says', () => {
    const places = placesOfVmcoreinfo(info, memory)!;
    expectAll(readKallsyms(places, info, memory)!, symbols);
    expectAll(readKallsyms({ ...places, orders: [] }, info, memory)!, symbols);
  });

  test('are found by what is in them', () => {
    const silent = new Vmcoreinfo(anchors.join('\n'));
    expect(placesOfVmcoreinfo(silent, memory)).toBeUndefined();
    const found = [...findKallsyms(image, memory)].flatMap(
      (places) => readKallsyms(places, silent, memory) ?? [],
    );
    expect(found).toHaveLength(1);
    expectAll(found[0]!, symbols);
  });
});

test('symbols that do not come out as VMCOREINFO tells are no symbols', () => {
  const { info, memory } = build({ layout: '6.4', encoding: 'base-relative' });
  const places = placesOfVmcoreinfo(info, memory)!;
  const changed = (from: RegExp, to: string) => new Vmcoreinfo(info.text.replace(from, to));
  expect(
    readKallsyms(places, changed(/SYMBOL\(prb\)=.*/, 'SYMBOL(prb)=ffffffff81000000'), memory),
  ).toBeUndefined();
  // One anchor alone proves nothing.
  expect(
    readKallsyms(places, changed(/SYMBOL\((prb|log_buf|init_uts_ns)\)=.*/g, ''), memory),
  ).toBeUndefined();
});

test.each([
  ['an order with a hole in it', 'seqs_of_names', 300, 9000, 0],
  ['an order of zeros', 'seqs_of_names', 0, 13_000, 0],
  ['markers of zeros', 'markers', 0, 72, 0],
  ['markers that are not', 'markers', 4, 8, 0x77],
])('with %s all names are still found', (_, table, from, to, value) => {
  const { info, memory, around, at, symbols } = build({ layout: '6.4', encoding: 'base-relative' });
  around.fill(value, 4096 + at[table]! + from, 4096 + at[table]! + to);
  expectAll(readKallsyms(placesOfVmcoreinfo(info, memory)!, info, memory)!, symbols);
});

test('sizes that cannot be are refused before anything is allocated', () => {
  const { info, memory } = build({ layout: '6.4', encoding: 'base-relative' });
  const places = placesOfVmcoreinfo(info, memory)!;
  for (const wrong of [
    { count: 0 },
    { count: 2 ** 31 },
    { count: places.count + 1000 },
    { tokenTable: places.tokenTable + 0x1_0000_0000n },
    { tokenIndex: places.tokenIndex + 0x1_0000_0000n },
    { tokenIndex: places.tokenTable },
    { names: places.tokenTable + 8n },
    { names: 0x1000n },
  ])
    expect(readKallsyms({ ...places, ...wrong }, info, memory)).toBeUndefined();
});

test('changed bytes never crash or hang it', () => {
  const { info, memory, around, anchors } = build({ layout: '6.4', encoding: 'base-relative' });
  const silent = new Vmcoreinfo(anchors.join('\n'));
  const whole = Buffer.from(around);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(around.length - 9), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), {
        minLength: 1,
        maxLength: 20,
      }),
      (changes) => {
        whole.copy(around);
        for (const [at, value] of changes) around.writeBigUInt64LE(value, at);
        const places = placesOfVmcoreinfo(info, memory);
        for (const each of [...(places ? [places] : []), ...findKallsyms(image, memory)]) {
          const found = readKallsyms(each, silent, memory);
          found?.address('duplicate');
          expect([...(found?.entries() ?? [])].length).toBeLessThanOrEqual(2 ** 21);
        }
      },
    ),
    { numRuns: 60 },
  );
});
