import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DW_AT, DW_FORM, DW_LANG_Rust, DW_TAG, DW_UT } from '../../src/formats/dwarf/constants.ts';
import { Cursor } from '../../src/formats/dwarf/cursor.ts';
import { Dwarf, type DwarfSections } from '../../src/formats/dwarf.ts';
import { readElfSections } from '../../src/formats/elf-sections.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { fixturePath, openBytes, readerOf } from '../helpers/vmlinux.ts';

/** What gcc does not write: units assembled by hand. Codes, tags and forms below 128 are one byte each. */
type Spec = {
  tag: number;
  children?: boolean;
  attributes: [attribute: number, form: number, constant?: number][];
};

const section = (bytes: Uint8Array) => ({ size: bytes.length, read: readerOf(bytes) });
const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
const text = (value: string): number[] => [...Buffer.from(`${value}\0`, 'latin1')];

function abbreviations(specs: Spec[]): number[] {
  const bytes = specs.flatMap(({ tag, children, attributes }, i) => [
    i + 1,
    tag,
    children ? 1 : 0,
    ...attributes.flatMap(([attribute, form, constant]) =>
      constant === undefined ? [attribute, form] : [attribute, form, constant],
    ),
    0,
    0,
  ]);
  return [...bytes, 0];
}

/** A unit of version 5 with a 12-byte header. */
const unit = (entries: number[], abbrevOffset = 0): number[] => [
  ...u32(8 + entries.length),
  5,
  0,
  DW_UT.compile,
  8,
  ...u32(abbrevOffset),
  ...entries,
];

function dwarf(
  info: number[],
  abbrev: number[],
  more: Partial<Record<keyof DwarfSections, number[]>> = {},
): Dwarf {
  const bytes = (numbers: number[] = []) => section(Uint8Array.from(numbers));
  return new Dwarf(
    {
      info: bytes(info),
      abbrev: bytes(abbrev),
      str: bytes(more.str),
      lineStr: bytes(more.lineStr),
      strOffsets: bytes(more.strOffsets),
      line: bytes(more.line),
    },
    'made.o',
  );
}

const root: Spec = { tag: DW_TAG.compile_unit, children: true, attributes: [] };
const base = (form: number): Spec => ({
  tag: DW_TAG.base_type,
  attributes: [
    [DW_AT.name, form],
    [DW_AT.byte_size, DW_FORM.data1],
  ],
});

describe('names', () => {
  test('by index into .debug_str_offsets, whatever the width of the index', () => {
    const made = dwarf(
      unit([1, ...u32(8), 2, 1, 4, 3, 1, 0, 8, 4, 2, 2, 0]),
      abbreviations([
        { ...root, attributes: [[DW_AT.str_offsets_base, DW_FORM.sec_offset]] },
        base(DW_FORM.strx1),
        base(DW_FORM.strx2),
        base(DW_FORM.strx),
      ]),
      {
        str: [...text('first'), ...text('second'), ...text('third')],
        strOffsets: [...u32(16), 5, 0, 0, 0, ...u32(6), ...u32(0), ...u32(13)],
      },
    );
    // Two entries have this name: the first counts.
    expect(made.entry(made.type('first')!)).toMatchObject({ name: 'first', byteSize: 4 });
    expect(made.entry(made.type('third')!)).toMatchObject({ name: 'third', byteSize: 2 });
    expect(made.type('second')).toBeUndefined();
  });

  test('written into the entry, in .debug_line_str, or the end of a longer text', () => {
    const made = dwarf(
      unit([1, 2, ...text('inline'), 1, 3, ...u32(1), 2, 4, ...u32(3), 3, 0]),
      abbreviations([root, base(DW_FORM.string), base(DW_FORM.line_strp), base(DW_FORM.strp)]),
      { str: text('a longer'), lineStr: [0, ...text('lined')] },
    );
    expect(made.entry(made.type('inline')!).byteSize).toBe(1);
    expect(made.entry(made.type('lined')!).byteSize).toBe(2);
    expect(made.entry(made.type('onger')!).byteSize).toBe(3);
    expect(made.type('a longer')).toBeUndefined();
  });

  test('forms of supplementary files are passed over', () => {
    const made = dwarf(
      unit([1, 2, ...u32(1), 1, 3, ...text('ok'), 2, 0]),
      abbreviations([root, base(DW_FORM.strp_sup), base(DW_FORM.string)]),
    );
    expect(made.entry(made.type('ok')!).byteSize).toBe(2);
  });
});

describe('units', () => {
  test('a later one is only looked at when the earlier ones do not know a name', () => {
    const good = unit([1, 2, ...text('known'), 4, 0]);
    const made = dwarf([...good, ...u32(1000)], abbreviations([root, base(DW_FORM.string)]));
    expect(made.entry(made.type('known')!).byteSize).toBe(4);
    expect(() => made.type('unknown')).toThrow(/made\.o: \.debug_info at offset \d+ .* a unit of 1000 bytes/);
  });

  test('padding, versions of the future and Rust are passed over', () => {
    const abbrev = abbreviations([
      root,
      base(DW_FORM.string),
      { ...root, attributes: [[DW_AT.language, DW_FORM.data1]] },
    ]);
    const future = unit([1, 2, ...text('later'), 4, 0]);
    future[4] = 9;
    const made = dwarf(
      [
        ...u32(0),
        ...future,
        ...unit([3, DW_LANG_Rust, 2, ...text('crab'), 4, 0]),
        ...unit([1, 2, ...text('plain'), 4, 0]),
      ],
      abbrev,
    );
    expect(made.type('later')).toBeUndefined();
    expect(made.type('crab')).toBeUndefined();
    expect(made.entry(made.type('plain')!).byteSize).toBe(4);
  });

  test('children without DW_AT_sibling are passed over by reading them', () => {
    const nested: Spec = { tag: 0x0b, children: true, attributes: [] };
    const made = dwarf(
      unit([1, 3, 3, 2, ...text('hidden'), 1, 0, 0, 2, ...text('seen'), 4, 0]),
      abbreviations([root, base(DW_FORM.string), nested]),
    );
    expect(made.type('hidden')).toBeUndefined();
    expect(made.entry(made.type('seen')!).byteSize).toBe(4);
  });

  test('a sibling that leads backwards is no endless loop', () => {
    const struct: Spec = {
      tag: DW_TAG.structure_type,
      children: true,
      attributes: [[DW_AT.sibling, DW_FORM.ref4]],
    };
    const made = dwarf(unit([1, 2, ...u32(12), 0, 0]), abbreviations([root, struct]));
    expect(() => made.type('any')).toThrow(/DW_AT_sibling of 13 leads to 12/);
  });

  test('values that abbreviations hold, and forms that entries hold', () => {
    const made = dwarf(
      unit([1, 2, ...text('implied'), 3, ...text('indirect'), DW_FORM.data2, 0x34, 0x12, 0]),
      abbreviations([
        root,
        {
          tag: DW_TAG.base_type,
          attributes: [
            [DW_AT.name, DW_FORM.string],
            [DW_AT.byte_size, DW_FORM.implicit_const, 9],
          ],
        },
        {
          tag: DW_TAG.base_type,
          attributes: [
            [DW_AT.name, DW_FORM.string],
            [DW_AT.byte_size, DW_FORM.indirect],
          ],
        },
      ]),
    );
    expect(made.entry(made.type('implied')!).byteSize).toBe(9);
    expect(made.entry(made.type('indirect')!).byteSize).toBe(0x1234);
  });

  test.each([
    ['an unknown abbreviation', unit([77])],
    ['abbreviations beyond their section', unit([1, 0], 5000)],
    ['no entries at all', unit([])],
  ])('%s is an error', (_, info) => {
    expect(() => dwarf(info, abbreviations([root])).type('x')).toThrow(KdumpError);
  });

  test('a table of abbreviations longer than what is read at first', () => {
    const many = Array.from({ length: 120 }, () => base(DW_FORM.string));
    const long = abbreviations([root, ...many]);
    // Unused codes of two bytes fill the table up to twice the first window.
    const filler: number[] = [];
    for (let code = 128; filler.length < 17_000; code++)
      filler.push((code & 127) | 128, code >> 7, DW_TAG.base_type, 0, 0, 0);
    const made = dwarf(unit([1, 121, ...text('last'), 6, 0]), [...long.slice(0, -1), ...filler, 0]);
    expect(made.entry(made.type('last')!).byteSize).toBe(6);
  });
});

describe('LEB128', () => {
  test('what an encoder wrote is read back', () => {
    const encode = (value: bigint, signed: boolean): number[] => {
      const out: number[] = [];
      for (let rest = value; ; ) {
        const byte = Number(rest & 0x7fn);
        rest >>= 7n;
        const done = signed ? (rest === 0n && byte < 64) || (rest === -1n && byte >= 64) : rest === 0n;
        out.push(done ? byte : byte | 0x80);
        if (done) return out;
      }
    };
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (value) => {
        const bytes = Uint8Array.from(encode(value, false));
        expect(new Cursor(bytes).bigLeb(false)).toBe(value);
        if (value < 2n ** 53n) expect(new Cursor(bytes).uleb()).toBe(Number(value));
      }),
    );
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (value) => {
        const bytes = Uint8Array.from(encode(value, true));
        expect(new Cursor(bytes).bigLeb(true)).toBe(value);
        if (value > -(2n ** 53n) && value < 2n ** 53n) expect(new Cursor(bytes).sleb()).toBe(Number(value));
      }),
      // Of so many bits that the groups alone add up to more than a double holds exactly.
      { examples: [[-306854310953881n]] },
    );
  });

  test('a number without an end is an error', () => {
    const bytes = new Uint8Array(100).fill(0x80);
    expect(() => new Cursor(bytes).uleb()).toThrow(RangeError);
    expect(() => new Cursor(bytes).sleb()).toThrow(RangeError);
    expect(() => new Cursor(bytes).bigLeb(true)).toThrow(RangeError);
  });
});

test.each(['dwarf2', 'dwarf5'] as const)('%s: damaged debug information gives answers or errors', (name) => {
  const original = readFileSync(fixturePath(name));
  const debug = readElfSections(readerOf(original), original.length, name).sections.filter((each) =>
    each.name.startsWith('.debug_'),
  );
  const start = Math.min(...debug.map((each) => each.offset));
  const end = Math.max(...debug.map((each) => each.offset + each.size));
  const attempt = (action: () => unknown): void => {
    try {
      action();
    } catch (error) {
      if (!(error instanceof KdumpError)) throw error;
    }
  };
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: start, max: end - 1 }), fc.nat(255)), {
        minLength: 1,
        maxLength: 12,
      }),
      (changes) => {
        const bytes = Buffer.from(original);
        for (const [at, value] of changes) bytes[at] = value;
        const types = openBytes(bytes).debugTypes!;
        for (const type of ['page', 'task_struct', 'no_such_type', 'zone']) attempt(() => types.find(type));
        for (const path of ['comm', 'thread.pair.high', 'grid', 'parent', 'no_such_member'])
          attempt(() => types.member('task_struct', path)?.type.target?.().target?.());
        attempt(() => types.enumerator('WIDE_TOP'));
        attempt(() => types.variable('node_data')?.target?.().target?.().target?.());
        attempt(() => types.typedefFile('atomic_t'));
      },
    ),
    { numRuns: 400 },
  );
});
