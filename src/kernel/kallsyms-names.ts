/**
 * The names of kallsyms (scripts/kallsyms.c): for every symbol, in the order of addresses, a length and that many
 * bytes, each of which stands for a token of one or more characters; the first character of all is the symbol's type.
 *
 * A length of 128 and more takes two bytes since 6.1. Before, no name was that long, so one rule reads both.
 */
export class KallsymsNames {
  readonly count: number;
  readonly #bytes: Uint8Array;
  /** Offset of every 256th name, as kallsyms_markers would tell. */
  readonly #blocks: Uint32Array;
  /** Characters of each token. */
  readonly #tokens: readonly Uint8Array[];
  /** The same as text; of names one after the other in ISO 8859-1, where every byte is a character. */
  readonly #texts: readonly string[];
  /** Whether all names are known to lie within #bytes, one after the other; undefined until one pass has looked. */
  #whole: boolean | undefined;
  /** What scans have found: indices by name. */
  readonly #scanned = new Map<string, readonly number[]>();
  /** kallsyms_seqs_of_names: big-endian 24-bit indices of the symbols in the order of their names (6.2). */
  #order: Uint8Array | undefined;

  private constructor(bytes: Uint8Array, count: number, blocks: Uint32Array, tokens: readonly Uint8Array[]) {
    this.#bytes = bytes;
    this.count = count;
    this.#blocks = blocks;
    this.#tokens = tokens;
    this.#texts = tokens.map((token) => String.fromCharCode(...token));
  }

  /**
   * @param bytes kallsyms_names and everything up to kallsyms_token_table
   * @param tokenTable kallsyms_token_table and whatever follows it
   * @param tokenIndex kallsyms_token_index, 512 bytes
   * @returns undefined when these are no such tables
   */
  static open(
    bytes: Uint8Array,
    count: number,
    tokenTable: Uint8Array,
    tokenIndex: Uint8Array,
  ): KallsymsNames | undefined {
    const tokens = readTokens(tokenTable, tokenIndex);
    // One pass over all names takes longer than a few lookups with the kernel's own markers.
    const blocks = tokens && (readMarkers(bytes, count) ?? readBlocks(bytes, count));
    return blocks && new KallsymsNames(bytes, count, blocks, tokens);
  }

  /**
   * Looks names up by bisection from now on, if `order` is the order of these names; a sample of it decides.
   * @param order 3 bytes for each symbol
   */
  useOrder(order: Uint8Array): boolean {
    if (order.length < 3 * this.count) return false;
    const step = Math.max(1, Math.floor(this.count / orderSamples));
    let before = '';
    let indexBefore = -1;
    for (let place = 0; place < this.count; place += step) {
      const index = indexAt(order, place);
      if (index >= this.count) return false;
      const name = this.#nameAt(index).slice(1);
      if (name < before || (name === before && index <= indexBefore)) return false;
      before = name;
      indexBefore = index;
    }
    this.#order = order;
    return true;
  }

  /**
   * Looks these up at once when there is no order: one pass over all names takes as long for twenty as for one. What is
   * asked for later and was not among them takes a pass of its own.
   */
  prepare(names: readonly string[]): void {
    if (this.#order === undefined) this.#scan(names);
  }

  /** Indices of the symbols with that name, in ascending order. */
  all(name: string): readonly number[] {
    if (this.#order !== undefined) return this.#bisect(name, this.#order);
    if (!this.#scanned.has(name)) this.#scan([name]);
    return this.#scanned.get(name)!;
  }

  /** Name and type of a symbol that exists. */
  at(index: number): { name: string; type: string } {
    const text = this.#nameAt(index);
    return { name: text.slice(1), type: text.slice(0, 1) };
  }

  *entries(): Generator<{ name: string; type: string }> {
    if (!this.#isWhole()) return;
    let at = 0;
    for (let index = 0; index < this.count; index++) {
      const text = this.#textAt(at);
      yield { name: text.slice(1), type: text.slice(0, 1) };
      at = nextName(this.#bytes, at);
    }
  }

  #bisect(name: string, order: Uint8Array): number[] {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sortedName(order, middle) < name) low = middle + 1;
      else high = middle;
    }
    const found: number[] = [];
    // Kernels built with LTO sort names without the suffix that it adds, so that those may come in between.
    for (let place = low; place < this.count; place++) {
      const candidate = this.#sortedName(order, place);
      if (candidate === name) found.push(indexAt(order, place));
      else if (!candidate.startsWith(`${name}.`)) break;
    }
    return found.sort((a, b) => a - b);
  }

  #sortedName(order: Uint8Array, place: number): string {
    const index = indexAt(order, place);
    return index < this.count ? this.#nameAt(index).slice(1) : '';
  }

  /** One pass over all names; a name is given up at its first character that none of the wanted ones has there. */
  #scan(wanted: readonly string[]): void {
    const found = wanted.map((): number[] => []);
    if (this.#isWhole()) {
      const { next, ends } = prefixTree(wanted);
      const bytes = this.#bytes;
      const tokens = this.#tokens;
      let at = 0;
      for (let index = 0; index < this.count; index++) {
        let length = bytes[at++]!;
        if (length >= 0x80) length = (length & 0x7f) | (bytes[at++]! << 7);
        const end = at + length;
        // The first character is the type: whatever it is.
        let node = typeNode;
        for (let i = at; node !== noNode && i < end; i++) {
          const token = tokens[bytes[i]!]!;
          for (let k = 0; node !== noNode && k < token.length; k++)
            node = node === typeNode ? rootNode : next[node * 256 + token[k]!]!;
        }
        if (node > noNode && ends[node]! >= 0) found[ends[node]!]!.push(index);
        at = end;
      }
    }
    for (const [i, name] of wanted.entries()) this.#scanned.set(name, found[i]!);
  }

  #isWhole(): boolean {
    this.#whole ??= readBlocks(this.#bytes, this.count) !== undefined;
    return this.#whole;
  }

  /** Type and name of a symbol. */
  #nameAt(index: number): string {
    let at = this.#blocks[index >>> blockShift]!;
    for (let left = index & (blockLength - 1); left > 0; left--) at = nextName(this.#bytes, at);
    return this.#textAt(at);
  }

  #textAt(at: number): string {
    let from = at;
    let length = this.#bytes[from++]!;
    if (length >= 0x80) length = (length & 0x7f) | (this.#bytes[from++]! << 7);
    let text = '';
    const end = Math.min(from + length, this.#bytes.length);
    for (let i = from; i < end; i++) text += this.#texts[this.#bytes[i]!]!;
    return text;
  }
}

const typeNode = -1;
const noNode = 0;
const rootNode = 1;

/**
 * Names as a tree of their characters.
 * @returns for node * 256 + character the node it leads to, or noNode; and for every node the name that ends there, or -1
 */
function prefixTree(names: readonly string[]): { next: Int32Array; ends: Int32Array } {
  const texts = names.map((name) => Buffer.from(name, 'latin1'));
  const nodes = texts.reduce((sum, text) => sum + text.length, rootNode + 1);
  const next = new Int32Array(nodes * 256);
  const ends = new Int32Array(nodes).fill(-1);
  let free = rootNode + 1;
  for (const [i, text] of texts.entries()) {
    let node = rootNode;
    for (const character of text) {
      const place = node * 256 + character;
      if (next[place] === noNode) next[place] = free++;
      node = next[place]!;
    }
    ends[node] = i;
  }
  return { next, ends };
}

const blockShift = 8;
const blockLength = 1 << blockShift;
const orderSamples = 64;

/** Offset of the name after the one at `at`; beyond the end when the bytes are no names. */
function nextName(bytes: Uint8Array, at: number): number {
  const length = bytes[at]!;
  return length < 0x80 ? at + 1 + length : at + 2 + ((length & 0x7f) | (bytes[at + 1]! << 7));
}

/**
 * kallsyms_markers, which lies between the names and the tokens, the order by name before or behind it, each padded to 8
 * bytes or (7.0) to 4. Undefined when nothing there looks like it.
 */
function readMarkers(bytes: Uint8Array, count: number): Uint32Array | undefined {
  const length = Math.ceil(count / blockLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const end of [bytes.length, bytes.length - padded(3 * count, 8)]) {
    for (const alignment of [8, 4]) {
      const at = end - padded(4 * length, alignment);
      if (at < 0) continue;
      const markers = Uint32Array.from({ length }, (_, i) => view.getUint32(at + i * 4, true));
      const grows = markers.every((offset, i) =>
        i === 0 ? offset === 0 : offset >= markers[i - 1]! + 2 * blockLength,
      );
      if (
        grows &&
        markers[length - 1]! < at &&
        isBlock(bytes, markers, 0) &&
        isBlock(bytes, markers, length >> 1)
      )
        return markers;
    }
  }
  return undefined;
}

const padded = (size: number, to: number): number => Math.ceil(size / to) * to;

/** Whether 256 names lead from one marker to the next. */
function isBlock(bytes: Uint8Array, markers: Uint32Array, block: number): boolean {
  const next = markers[block + 1];
  if (next === undefined) return true;
  let at = markers[block]!;
  for (let i = 0; i < blockLength; i++) at = nextName(bytes, at);
  return at === next;
}

/** Offset of every 256th name; undefined when the names do not fit into the bytes, or one is empty. */
function readBlocks(bytes: Uint8Array, count: number): Uint32Array | undefined {
  const blocks = new Uint32Array(Math.ceil(count / blockLength));
  let at = 0;
  for (let index = 0; index < count; index++) {
    if ((index & (blockLength - 1)) === 0) blocks[index >>> blockShift] = at;
    if (at >= bytes.length || bytes[at] === 0) return undefined;
    at = nextName(bytes, at);
  }
  return at <= bytes.length ? blocks : undefined;
}

/** The 256 tokens; undefined when the two tables do not belong together. */
function readTokens(table: Uint8Array, index: Uint8Array): Uint8Array[] | undefined {
  if (index.length < 512) return undefined;
  const tokens: Uint8Array[] = [];
  let expected = 0;
  for (let i = 0; i < 256; i++) {
    const start = index[i * 2]! | (index[i * 2 + 1]! << 8);
    const end = table.indexOf(0, start);
    if (start !== expected || end < 0) return undefined;
    tokens.push(table.subarray(start, end));
    expected = end + 1;
  }
  return tokens;
}

const indexAt = (order: Uint8Array, place: number): number =>
  (order[place * 3]! << 16) | (order[place * 3 + 1]! << 8) | order[place * 3 + 2]!;
