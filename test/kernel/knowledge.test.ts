import { expect, test } from 'vitest';
import { Vmcoreinfo } from '../../src/formats/vmcoreinfo.ts';
import { knowledgeOf } from '../../src/kernel/knowledge.ts';
import { VirtualMemory } from '../../src/kernel/memory.ts';
import { x86_64 } from '../../src/kernel/x86_64.ts';
import { BtfBuilder } from '../helpers/btf.ts';
import { buildKallsyms, type SymbolSpec } from '../helpers/kallsyms.ts';
import { pieceMemory } from '../helpers/piece-memory.ts';

const start = 0xffff_ffff_8100_0000n;
const tables = start + 0x20_0000n;
const blob = start + 0x40_0000n;

function btf(): Buffer {
  const b = new BtfBuilder();
  b.struct('page', 56, []);
  for (let i = 0; i < 100; i++) b.int(`int_${i}`, 4);
  return b.bytes();
}

/** Enough symbols for a scan. */
const symbols: SymbolSpec[] = [
  ...['_stext', 'init_uts_ns', 'prb'],
  ...Array.from({ length: 4200 }, (_, i) => `sym_${i}`),
].map((name, i) => ({ name, type: 't', address: start + BigInt(i * 16) }));

function build(exportPlaces: boolean, withTypes = true) {
  const types = btf();
  const all = [
    ...symbols,
    ...(withTypes
      ? [
          { name: '__start_BTF', type: 'R', address: blob },
          { name: '__stop_BTF', type: 'R', address: blob + BigInt(types.length) },
        ]
      : []),
  ];
  const { piece, lines } = buildKallsyms(all, { layout: '4.6', encoding: 'base-relative' }, tables);
  const memory = pieceMemory([
    piece,
    ...(withTypes ? [{ vaddr: blob, bytes: Buffer.concat([types, Buffer.alloc(4096)]) }] : []),
  ]);
  const anchors = symbols.slice(0, 3).map(({ name, address }) => `SYMBOL(${name})=${address.toString(16)}`);
  const info = new Vmcoreinfo(
    // The scan goes through 8 MiB only.
    [...anchors, ...(exportPlaces ? lines : []), 'NUMBER(KERNEL_IMAGE_SIZE)=25165824'].join('\n'),
  );
  return { info, memory };
}

test.each([true, false])(
  'symbols, types and inferred keys; places of kallsyms exported: %s',
  (exportPlaces) => {
    const { info, memory } = build(exportPlaces);
    const knowledge = knowledgeOf(x86_64, info, memory);
    expect(knowledge.symbols?.address('sym_4000')).toBe(start + 16n * 4003n);
    expect(knowledge.types?.find('page')?.size).toBe(56);
    expect(knowledge.info.size('page')).toBe(56);
    expect(knowledge.info.symbol('sym_7')).toBe(start + 160n);
    expect(knowledge.info.exported).toBe(info);
    expect(knowledge.symbols).toBe(knowledge.symbols);
    expect(knowledge.types).toBe(knowledge.types);
    expect(knowledge.info).toBe(knowledge.info);
  },
);

test('a kernel without any of it is known by VMCOREINFO alone', () => {
  const info = new Vmcoreinfo('SIZE(page)=64\nNUMBER(KERNEL_IMAGE_SIZE)=8388608');
  const knowledge = knowledgeOf(x86_64, info, pieceMemory([{ vaddr: start, bytes: Buffer.alloc(65_536) }]));
  expect(knowledge.symbols).toBeUndefined();
  expect(knowledge.types).toBeUndefined();
  expect(knowledge.info.size('page')).toBe(64);
  expect(knowledge.info.size('zone')).toBeUndefined();
  const { image: _, ...anywhere } = x86_64;
  const { info: silent, memory } = build(false);
  expect(knowledgeOf(anywhere, silent, memory).symbols).toBeUndefined();
});

test('nothing is read before it is asked for', () => {
  const fail = (): never => {
    throw new Error('memory was read');
  };
  const memory = new VirtualMemory({ readInto: fail }, { translate: fail, mappedRuns: fail });
  const { info } = build(true);
  const knowledge = knowledgeOf(x86_64, info, memory);
  expect(knowledge.info.symbol('prb')).toBe(start + 32n);
  expect(knowledge.info.number('phys_base')).toBeUndefined();
  expect(() => knowledge.symbols).toThrow('memory was read');
});
