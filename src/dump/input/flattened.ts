import {
  checkFlattenedHeader,
  decodeRecordHead,
  flattenedHeaderSize,
  flattenedMagicSize,
  isRecord,
  isTerminator,
  recordHeadSize,
} from '../../formats/flattened.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { ByteSource, View } from './bytes.ts';

/** More records than a terabyte in the usual pieces of 64 KiB: an index of 400 MiB. */
const maxRecords = 2 ** 24;

/**
 * A file that lies in the records of a flattened stream, read where it lies. Of records that overlap the later one
 * counts, as when the stream is written to a file; what no record holds reads as zero.
 *
 * A stream without its end, or with records that cannot be right, is not refused here: `problems` tells what is wrong
 * with it, so that what is there can be saved.
 */
export class FlattenedBytes implements ByteSource {
  readonly path: string;
  readonly size: number;
  /** What is wrong with the stream, a sentence each; none when it is whole. */
  readonly problems: readonly string[];
  /** Whether the stream ends as it should and every record is there. */
  readonly complete: boolean;
  /** Number of records, and how many of them write where an earlier one wrote. */
  readonly records: number;
  readonly overlapping: number;
  readonly #stream: ByteSource;
  /** Sorted disjoint pieces: where each begins in the file and in the stream, and its length; bytes. */
  readonly #offsets: Float64Array;
  readonly #positions: Float64Array;
  readonly #sizes: Float64Array;
  /** The piece that was used last. */
  #last = 0;

  /** @throws KdumpError `not-flattened`, `unsupported-flattened`, `too-many-records` */
  constructor(stream: ByteSource) {
    this.#stream = stream;
    this.path = stream.path;
    const scan = scanRecords(stream);
    this.problems = scan.problems;
    this.complete = scan.problems.length === 0;
    this.records = scan.records.count;
    const { pieces, overlapping } = disjoint(scan.records);
    this.overlapping = overlapping;
    this.#offsets = pieces.offsets.subarray(0, pieces.count);
    this.#positions = pieces.positions.subarray(0, pieces.count);
    this.#sizes = pieces.sizes.subarray(0, pieces.count);
    const last = pieces.count - 1;
    this.size = last < 0 ? 0 : this.#offsets[last]! + this.#sizes[last]!;
  }

  readInto(offset: number, target: Uint8Array): number {
    const length = Math.max(0, Math.min(target.length, this.size - offset));
    let done = 0;
    for (let i = this.#find(offset); done < length; i++) {
      const from = offset + done;
      const start = i < this.#offsets.length ? this.#offsets[i]! : this.size;
      if (from < start) {
        // Between records the file has a hole.
        const end = Math.min(length, start - offset);
        target.fill(0, done, end);
        done = end;
        if (done === length) break;
      }
      const inside = offset + done - start;
      const count = Math.min(length - done, this.#sizes[i]! - inside);
      const got = this.#stream.readInto(this.#positions[i]! + inside, target.subarray(done, done + count));
      done += got;
      if (got < count) break;
    }
    return done;
  }

  view(offset: number, length: number): View | undefined {
    const i = this.#find(offset);
    if (i >= this.#offsets.length) return undefined;
    const inside = offset - this.#offsets[i]!;
    if (inside < 0 || inside + length > this.#sizes[i]!) return undefined;
    const view = this.#stream.view(this.#positions[i]! + inside, length);
    return view && { ...view, length: Math.min(view.length, this.#sizes[i]! - inside) };
  }

  /**
   * How many bytes from `offset` on, of `length`, records hold without a gap: what no record holds reads as zero, but
   * nobody wrote a zero there.
   */
  held(offset: number, length: number): number {
    const end = offset + length;
    let from = offset;
    for (let i = this.#find(offset); from < end && i < this.#offsets.length && this.#offsets[i]! <= from; i++)
      from = this.#offsets[i]! + this.#sizes[i]!;
    return Math.min(end, from) - offset;
  }

  close(): void {
    this.#stream.close();
  }

  /** Index of the piece that holds an offset, or of the next one above it. */
  #find(offset: number): number {
    const offsets = this.#offsets;
    const sizes = this.#sizes;
    const last = this.#last;
    if (last < offsets.length && offset >= offsets[last]! && offset < offsets[last]! + sizes[last]!)
      return last;
    let low = 0;
    let high = offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (offsets[middle]! + sizes[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    this.#last = low;
    return low;
  }
}

/** Pieces of a file in pieces of a stream, in columns; only the first `count` rows are in use. */
type Pieces = {
  offsets: Float64Array;
  positions: Float64Array;
  sizes: Float64Array;
  count: number;
};

const noPieces = (room: number): Pieces => ({
  offsets: new Float64Array(room),
  positions: new Float64Array(room),
  sizes: new Float64Array(room),
  count: 0,
});

function add(pieces: Pieces, offset: number, position: number, size: number): void {
  if (pieces.count === pieces.offsets.length) {
    const room = Math.max(1024, pieces.count * 2);
    for (const column of ['offsets', 'positions', 'sizes'] as const) {
      const wider = new Float64Array(room);
      wider.set(pieces[column]);
      pieces[column] = wider;
    }
  }
  pieces.offsets[pieces.count] = offset;
  pieces.positions[pieces.count] = position;
  pieces.sizes[pieces.count++] = size;
}

/** Walks the records from the header to the end. */
function scanRecords(stream: ByteSource): { records: Pieces; problems: string[] } {
  const magic = Buffer.alloc(flattenedMagicSize);
  checkFlattenedHeader(magic.subarray(0, stream.readInto(0, magic)), stream.path);

  const records = noPieces(1024);
  const problems: string[] = [];
  // A file has few holes, and small ones: an offset far beyond what the stream could fill is a damaged one.
  const maxEnd = 16 * stream.size + 2 ** 20;
  const record = Buffer.alloc(recordHeadSize);
  for (let at = flattenedHeaderSize; ; ) {
    if (stream.readInto(at, record) < recordHeadSize) {
      problems.push(`the stream ends at ${stream.size} without its terminator`);
      break;
    }
    const head = decodeRecordHead(record, 0);
    if (isTerminator(head)) break;
    const { offset, size } = head;
    const position = at + recordHeadSize;
    if (!isRecord(head)) {
      problems.push(
        `the record at ${at} has offset ${offset} and size ${size}, so nothing after it is found`,
      );
      break;
    }
    const there = Math.min(size, stream.size - position);
    if (offset + size > maxEnd) {
      problems.push(`the record at ${at} belongs at ${offset}, far beyond all others`);
    } else if (there > 0) {
      if (records.count === maxRecords) {
        throw new KdumpError(
          'too-many-records',
          `${stream.path}: more than ${maxRecords} records; makedumpfile -R makes a plain file of it`,
        );
      }
      add(records, offset, position, there);
    }
    if (there < size) {
      problems.push(`the stream ends at ${stream.size}, inside the record at ${at} of ${size} bytes`);
      break;
    }
    at = position + size;
    if (problems.length >= maxProblems) {
      problems.push('and more');
      break;
    }
  }
  return { records, problems };
}

const maxProblems = 100;

/** The records in the order of the file, cut where a later one covers them. */
function disjoint(records: Pieces): { pieces: Pieces; overlapping: number } {
  const { offsets, positions, sizes, count } = records;
  const order = new Uint32Array(count);
  let sorted = true;
  for (let i = 0; i < count; i++) {
    order[i] = i;
    if (i > 0 && offsets[i]! < offsets[i - 1]!) sorted = false;
  }
  if (!sorted) order.sort((a, b) => offsets[a]! - offsets[b]! || a - b);

  const pieces = noPieces(count);
  /** Records that cover the place that is looked at, the latest on top: later records have higher numbers. */
  const covering = new MaxHeap();
  let overlapping = 0;
  let at = 0;
  let end = 0;
  const take = (until: number): void => {
    while (covering.size > 0 && at < until) {
      const top = covering.top;
      const stop = Math.min(until, offsets[top]! + sizes[top]!);
      if (stop > at) add(pieces, at, positions[top]! + (at - offsets[top]!), stop - at);
      at = Math.max(at, stop);
      if (stop < until) covering.pop();
    }
  };
  for (let n = 0; n < count; n++) {
    const i = order[n]!;
    if (offsets[i]! < end) overlapping++;
    take(offsets[i]!);
    at = offsets[i]!;
    end = Math.max(end, offsets[i]! + sizes[i]!);
    covering.push(i);
  }
  take(end);
  return { pieces, overlapping };
}

/** Numbers, the largest on top. */
class MaxHeap {
  readonly #items: number[] = [];

  get size(): number {
    return this.#items.length;
  }

  get top(): number {
    return this.#items[0]!;
  }

  push(value: number): void {
    const items = this.#items;
    let at = items.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (items[parent]! >= value) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = value;
  }

  pop(): void {
    const items = this.#items;
    const value = items.pop()!;
    if (items.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && items[child + 1]! > items[child]!) child++;
      if (items[child]! <= value) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = value;
  }
}
