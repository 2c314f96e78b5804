import type { VirtualRange } from './image.ts';
import { searchMemory } from './image-search.ts';
import { align, type KallsymsPlaces, orderBefore } from './kallsyms.ts';
import { encodings } from './kallsyms-addresses.ts';
import { isMissing, type VirtualMemory } from './memory.ts';

/**
 * Finds kallsyms in the image of a kernel that does not export where it is (before 6.0), by what is in it. The parts
 * follow each other in one of three orders (scripts/kallsyms.c, write_src):
 *
 *   4.6 to 6.3   offsets, relative_base, num_syms, names, markers, [seqs_of_names], token_table, token_index
 *   6.4 to 6.19  num_syms, names, markers, token_table, token_index, offsets, relative_base, seqs_of_names
 *   7.0 on       num_syms, names, markers, token_table, token_index, offsets, seqs_of_names; aligned to 4, not 8
 *
 * All candidates are given; whether one is right is for the reader to prove.
 */
export function* findKallsyms(image: VirtualRange, memory: VirtualMemory): Generator<KallsymsPlaces> {
  let tried = 0;
  for (const digits of searchMemory(memory, image, digitTokens)) {
    if (++tried > maxCandidates) return;
    const tokens = tokenTableAround(digits, memory);
    if (tokens !== undefined) yield* placesBefore(tokens, memory);
  }
}

/** Tokens 0x30 to 0x39 are the digits themselves: bytes that names contain keep standing for themselves. */
const digitTokens = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0', 'latin1');
const firstDigit = 0x30;
const maxCandidates = 64;
/** Bytes before the digits that hold the first tokens, and after them that hold the others and their index. */
const tokensBefore = 2048;
const tokensAfter = 16_384;
/** Bytes of markers and order before the tokens, and of the names before these. */
const nearBefore = 2 ** 20;
const maxBefore = 2 ** 23;

type Tokens = { readonly table: bigint; readonly index: bigint };

/** The tokens that surround the digits, proved by their index, which must follow. */
function tokenTableAround(digits: bigint, memory: VirtualMemory): Tokens | undefined {
  const before = readBefore(digits, tokensBefore, memory);
  const after = readAfter(digits, tokensAfter, memory);
  // Backwards over the first tokens, each of which ends with a NUL.
  let start = before.length;
  for (let token = 0; token < firstDigit; token++) {
    if (start < 2 || before[start - 1] !== 0) return undefined;
    start = before.lastIndexOf(0, start - 2) + 1;
    if (start === 0) return undefined;
  }
  const table = Buffer.concat([before.subarray(start), after]);
  const index = Buffer.alloc(512);
  let at = 0;
  for (let token = 0; token < 256; token++) {
    index.writeUInt16LE(at, token * 2);
    at = table.indexOf(0, at) + 1;
    if (at === 0 || at > 0xffff) return undefined;
  }
  const found = table.indexOf(index, at);
  const address = digits - BigInt(before.length - start);
  return found < 0 || found > at + 16 ? undefined : { table: address, index: address + BigInt(found) };
}

/** Places of the other parts, from what lies before the tokens. */
function* placesBefore({ table, index }: Tokens, memory: VirtualMemory): Generator<KallsymsPlaces> {
  for (const { before, markers } of piecesBefore(table, memory)) {
    const start = table - BigInt(before.length);
    for (const names of findNames(before, markers)) {
      const { count, at, gap } = names;
      const size = 4n * BigInt(count);
      const common = { count, names: start + BigInt(at), tokenTable: table, tokenIndex: index };
      const number = common.names - BigInt(gap);
      const base = number - 8n;
      yield {
        ...common,
        addresses: [
          ...encodings.relative(base - align(size, 8n), base),
          encodings.absolute(number - 2n * size),
        ],
        orders: [orderBefore(table, count)],
      };
      const after8 = align(index + 512n, 8n);
      const base8 = align(after8 + size, 8n);
      yield { ...common, addresses: encodings.relative(after8, base8), orders: [base8 + 8n] };
      for (const after of new Set([align(index + 512n, 4n), after8]))
        yield { ...common, addresses: [encodings.place(after)], orders: [after + size] };
    }
  }
}

/**
 * Memory that ends at the tokens, with markers in it. The markers are near; how far away the names are is what the
 * markers tell, so that no more has to be read than what is needed.
 */
function* piecesBefore(
  table: bigint,
  memory: VirtualMemory,
): Generator<{ before: Buffer; markers: Markers }> {
  let longest: Buffer = Buffer.alloc(0);
  for (const length of [nearBefore, maxBefore]) {
    const near = readBefore(table, length, memory);
    if (near.length > longest.length) longest = near;
    for (const { at, offsets } of findMarkers(near)) {
      const needed = near.length - at + offsets[offsets.length - 1]! + maxBlock + 8;
      if (needed > maxBefore) continue;
      // In powers of two, so that many markers do not cost many reads.
      if (needed > longest.length) longest = readBefore(table, 2 ** Math.ceil(Math.log2(needed)), memory);
      yield { before: longest, markers: { at: at + longest.length - near.length, offsets } };
    }
    if (near.length < length) return;
  }
}

type Markers = { readonly at: number; readonly offsets: Uint32Array };

/**
 * Tables of offsets that begin with 0 and grow by what 256 names take, the last in memory first. The end of one shows
 * only in that it stops growing so, and what follows may look right by chance: one shorter is tried as well.
 */
function* findMarkers(before: Buffer): Generator<Markers> {
  const skip = before.length % 4;
  const from = before.byteOffset + skip;
  const words = new Uint32Array(before.buffer.slice(from, before.byteOffset + before.length));
  let end = words.length;
  let found = 0;
  for (let at = words.length - 2; at >= 0 && found < maxCandidates; at--) {
    if (words[at] !== 0 || !isStep(words[at + 1]!)) continue;
    let length = 2;
    while (at + length < end && isStep(words[at + length]! - words[at + length - 1]!)) length++;
    if (length < leastMarkers) continue;
    found++;
    end = at;
    yield { at: skip + at * 4, offsets: words.subarray(at, at + length) };
    yield { at: skip + at * 4, offsets: words.subarray(at, at + length - 1) };
  }
}

/** Bytes of 256 names: each takes two at least. */
const maxBlock = 60_000;
const isStep = (bytes: number): boolean => bytes >= 512 && bytes <= maxBlock;
const leastMarkers = 16;

/** Starts of the names that fit the markers, with the number of symbols that stands before them. */
function* findNames(
  before: Buffer,
  { at: markersAt, offsets }: Markers,
): Generator<{ at: number; count: number; gap: number }> {
  const last = offsets[offsets.length - 1]!;
  const latest = markersAt - last;
  const earliest = Math.max(8, latest - maxBlock);
  // Everything is aligned to 4 at least, as the markers are.
  for (let at = latest - (latest % 4) + (markersAt % 4); at >= earliest; at -= 4) {
    for (const gap of [8, 4]) {
      if (at - gap < 0 || at > latest) continue;
      const count = before.readUInt32LE(at - gap);
      if (Math.ceil(count / 256) === offsets.length && fits(before, at, offsets)) yield { at, count, gap };
    }
  }
}

/** Whether every marker points at the 256th name after the one before it. */
function fits(bytes: Buffer, start: number, offsets: Uint32Array): boolean {
  let at = start;
  for (let block = 1; block < offsets.length; block++) {
    for (let i = 0; i < 256; i++) {
      const length = bytes[at]!;
      at += length < 0x80 ? 1 + length : 2 + ((length & 0x7f) | (bytes[at + 1]! << 7));
    }
    if (at - start !== offsets[block]) return false;
  }
  return true;
}

/** Up to `length` bytes that end at an address: as many as are there without a gap. */
function readBefore(end: bigint, length: number, memory: VirtualMemory): Buffer {
  const pieces: Uint8Array[] = [];
  let at = end;
  let total = 0;
  for (let piece = largePiece; total < length; ) {
    const size = Math.min(length - total, Number(at % BigInt(piece)) || piece);
    const bytes = memory.read(at - BigInt(size), size);
    if (!isMissing(bytes)) {
      pieces.push(bytes);
      total += size;
      at -= BigInt(size);
    } else if (piece === smallPiece) break;
    else piece = smallPiece;
  }
  return Buffer.concat(pieces.reverse());
}

/** The same from an address on. */
function readAfter(start: bigint, length: number, memory: VirtualMemory): Buffer {
  const pieces: Uint8Array[] = [];
  for (let total = 0; total < length; ) {
    const at = start + BigInt(total);
    const size = Math.min(length - total, smallPiece - Number(at % BigInt(smallPiece)));
    const bytes = memory.read(at, size);
    if (isMissing(bytes)) break;
    pieces.push(bytes);
    total += size;
  }
  return Buffer.concat(pieces);
}

const largePiece = 65_536;
/** The smallest page there is: a read of one never fails because of its neighbour. */
const smallPiece = 4096;
