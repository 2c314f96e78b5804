import type { Piece } from './piece-memory.ts';

export type SymbolSpec = { readonly name: string; readonly type: string; readonly address: bigint };

export type KallsymsShape = {
  /** Order of the tables: those of 4.6, 6.2, 6.4 and 7.0. */
  readonly layout: '4.6' | '6.2' | '6.4' | '7.0';
  readonly encoding: 'absolute' | 'base-relative' | 'absolute-percpu' | 'place-relative';
};

/** Every byte stands for a character, some for several; the digits are where the kernel's script leaves them. */
const tokens = Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x21 && byte <= 0x7e) return String.fromCharCode(byte);
  return ['sym_', 'init_', '__'][byte - 0x80] ?? `token${byte}`;
});

/**
 * Writes the tables of kallsyms as scripts/kallsyms.c does.
 * @param symbols in ascending order of their addresses
 * @param start address of the first table; a multiple of 8
 * @returns the memory, VMCOREINFO's lines, and where each table is
 */
export function buildKallsyms(
  symbols: readonly SymbolSpec[],
  { layout, encoding }: KallsymsShape,
  start: bigint,
): { piece: Piece; lines: string[]; at: Readonly<Record<string, number>> } {
  const alignment = layout === '7.0' ? 4 : 8;
  const encoded = symbols.map(({ name, type }) => encodeName(type + name));
  const markers: number[] = [];
  let offset = 0;
  for (const [i, name] of encoded.entries()) {
    if (i % 256 === 0) markers.push(offset);
    offset += name.length;
  }
  const order = [...symbols.keys()].sort((a, b) => {
    const [x, y] = [symbols[a]!.name, symbols[b]!.name];
    return x < y ? -1 : x > y ? 1 : a - b;
  });
  const tokenOffsets: number[] = [];
  let length = 0;
  for (const token of tokens) {
    tokenOffsets.push(length);
    length += token.length + 1;
  }
  const width = encoding === 'absolute' ? 8 : 4;
  const base = symbols.find(({ address }) => address > 2n ** 32n)?.address ?? 0n;
  const number = Buffer.alloc(4);
  number.writeUInt32LE(symbols.length);
  const relativeBase = Buffer.alloc(8);
  relativeBase.writeBigUInt64LE(base);

  const tables: Record<string, Buffer> = {
    [encoding === 'absolute' ? 'addresses' : 'offsets']: Buffer.alloc(symbols.length * width),
    ...(encoding === 'base-relative' || encoding === 'absolute-percpu'
      ? { relative_base: relativeBase }
      : {}),
    num_syms: number,
    names: Buffer.concat(encoded),
    markers: Buffer.from(Uint32Array.from(markers).buffer),
    ...(layout === '4.6'
      ? {}
      : { seqs_of_names: Buffer.from(order.flatMap((i) => [i >> 16, (i >> 8) & 255, i & 255])) }),
    token_table: Buffer.from(`${tokens.join('\0')}\0`, 'latin1'),
    token_index: Buffer.from(Uint16Array.from(tokenOffsets).buffer),
  };
  const addressesFirst = [
    'addresses',
    'offsets',
    'relative_base',
    'num_syms',
    'names',
    'markers',
    'seqs_of_names',
  ];
  const written =
    layout === '4.6' || layout === '6.2'
      ? [...addressesFirst, 'token_table', 'token_index']
      : [
          'num_syms',
          'names',
          'markers',
          'token_table',
          'token_index',
          'addresses',
          'offsets',
          'relative_base',
          'seqs_of_names',
        ];
  const at: Record<string, number> = {};
  let end = 0;
  for (const name of written) {
    const table = tables[name];
    if (table === undefined) continue;
    at[name] = end;
    end = Math.ceil((end + table.length) / alignment) * alignment;
  }
  // Memory comes in pages.
  const bytes = Buffer.alloc(Math.ceil(end / 4096) * 4096);
  for (const [name, place] of Object.entries(at)) tables[name]!.copy(bytes, place);
  const values = at.offsets ?? at.addresses!;
  for (const [i, { address }] of symbols.entries()) {
    const place = values + i * width;
    if (encoding === 'absolute') bytes.writeBigUInt64LE(address, place);
    else if (encoding === 'base-relative') bytes.writeUInt32LE(Number(address - base), place);
    else if (encoding === 'place-relative')
      bytes.writeInt32LE(Number(address - start - BigInt(place)), place);
    else bytes.writeInt32LE(address < 2n ** 31n ? Number(address) : Number(base - 1n - address), place);
  }
  const lines = Object.entries(at)
    .filter(([name]) => name !== 'markers' && name !== 'seqs_of_names')
    .map(([name, place]) => `SYMBOL(kallsyms_${name})=${(start + BigInt(place)).toString(16)}`);
  return { piece: { vaddr: start, bytes }, lines, at };
}

function encodeName(text: string): Buffer {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; ) {
    const byte =
      [0x80, 0x81, 0x82].find((token) => text.startsWith(tokens[token]!, at)) ?? text.charCodeAt(at);
    bytes.push(byte);
    at += tokens[byte]!.length;
  }
  const { length } = bytes;
  return Buffer.from(length < 0x80 ? [length, ...bytes] : [(length & 0x7f) | 0x80, length >> 7, ...bytes]);
}
