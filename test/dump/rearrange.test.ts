import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFileSink } from '../../src/dump/output/file-sink.ts';
import { openFlattenedStream, type Rearranged, rearrange } from '../../src/dump/rearrange.ts';
import { encodeFlattenedHeader, encodeRecordHead, encodeTerminator } from '../../src/formats/flattened.ts';
import { KdumpError } from '../../src/lib/errors.ts';
import { MemorySink } from '../helpers/memory-sink.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rearrange-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

type Piece = { offset: number; bytes: Buffer };

function record({ offset, bytes }: Piece): Buffer {
  const head = Buffer.alloc(16);
  encodeRecordHead(head, 0, offset, bytes.length);
  return Buffer.concat([head, bytes]);
}

const streamOf = (pieces: readonly Piece[]): Buffer =>
  Buffer.concat([encodeFlattenedHeader(), ...pieces.map(record), encodeTerminator()]);

/** Rearranges a stream that arrives in portions. */
function run(stream: Uint8Array, sink = new MemorySink(), portion = 1 << 20) {
  let at = 0;
  let result: Rearranged | undefined;
  let error: KdumpError | undefined;
  try {
    const opened = openFlattenedStream((target) => {
      const part = stream.subarray(at, at + Math.min(portion, target.length));
      target.set(part);
      at += part.length;
      return part.length;
    }, 'the input');
    result = rearrange(opened, sink);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(KdumpError);
    error = thrown as KdumpError;
  }
  return { sink, result, error };
}

/** What the pieces make, the later ones on top; 0xee is a hole. */
function fileOf(pieces: readonly Piece[]): Buffer {
  const size = Math.max(0, ...pieces.map(({ offset, bytes }) => offset + bytes.length));
  const file = Buffer.alloc(size, 0xee);
  for (const { offset, bytes } of pieces) bytes.copy(file, offset);
  return file;
}

const anyPieces = fc.array(
  fc.record({
    offset: fc.nat(5000),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 20 },
);

test('records land where they belong, the later one on top, in whatever portions they come', () => {
  fc.assert(
    fc.property(anyPieces, fc.integer({ min: 1, max: 6000 }), (pieces, portion) => {
      const stream = streamOf(pieces);
      const { sink, result, error } = run(stream, new MemorySink(), portion);
      expect(error).toBeUndefined();
      expect(result).toEqual({ records: pieces.length, bytes: stream.length });
      expect(sink.bytes.equals(fileOf(pieces))).toBe(true);
    }),
  );
});

test('a record larger than any buffer passes through', () => {
  const bytes = Buffer.alloc(5 * 2 ** 20 + 3, 'a long dump');
  const { sink, error } = run(streamOf([{ offset: 4096, bytes }]));
  expect(error).toBeUndefined();
  expect(sink.bytes.subarray(4096).equals(bytes)).toBe(true);
});

test('what comes after the terminator is none of our business', () => {
  const stream = streamOf([{ offset: 0, bytes: Buffer.from('x') }]);
  const { result } = run(Buffer.concat([stream, Buffer.from('something else')]));
  expect(result?.bytes).toBe(stream.length);
});

test('a stream that ends early anywhere is an error that names the output, which keeps what came', () => {
  const pieces = [
    { offset: 100, bytes: Buffer.alloc(300, 1) },
    { offset: 0, bytes: Buffer.alloc(50, 2) },
  ];
  const stream = streamOf(pieces);
  const file = fileOf(pieces);
  for (let length = 4096; length < stream.length; length++) {
    const { sink, error } = run(stream.subarray(0, length));
    expect(error?.code).toBe('truncated');
    expect(error?.message).toContain(`the stream ends after ${length} bytes without its terminator`);
    expect(error?.message).toContain('kept in memory');
    expect(error?.exitCode).toBe(1);
    const came = Math.min(300, Math.max(0, length - 4096 - 16));
    expect(sink.bytes.subarray(100, 100 + came).equals(file.subarray(100, 100 + came))).toBe(true);
    expect(sink.discarded).toBe(false);
  }
});

test('what is no stream is refused before the output is touched', () => {
  const elf = Buffer.from('\x7fELF'.padEnd(5000, '\0'), 'latin1');
  const { sink, error } = run(elf);
  expect(error?.code).toBe('not-flattened');
  expect(sink.written).toBe(0);
  expect(run(Buffer.alloc(0)).error?.code).toBe('not-flattened');
  const { error: cut } = run(encodeFlattenedHeader().subarray(0, 4095));
  expect(cut?.code).toBe('truncated');
  expect(cut?.message).toContain('within its header');
});

test.each([
  [-1, 5],
  [5, -1],
  [-2, -1],
  [0, 0],
  [100, 0],
  [2 ** 53, 16],
])('a record at %d of %d bytes is damage, told with its place in the stream', (offset, size) => {
  const head = Buffer.alloc(16);
  head.writeBigInt64BE(BigInt(offset), 0);
  head.writeBigInt64BE(BigInt(size), 8);
  const good = record({ offset: 0, bytes: Buffer.from('good') });
  const { sink, error } = run(Buffer.concat([encodeFlattenedHeader(), good, head, encodeTerminator()]));
  expect(error?.code).toBe('bad-record');
  expect(error?.message).toContain(
    `the record at ${4096 + good.length} has offset ${offset} and size ${size}`,
  );
  expect(sink.bytes.toString()).toBe('good');
});

test('a full disk ends it', () => {
  const stream = streamOf([{ offset: 0, bytes: Buffer.alloc(1000, 7) }]);
  const { sink, error } = run(stream, new MemorySink(600));
  expect(error?.code).toBe('no-space');
  expect(error?.message).toContain('no space left at offset 600');
  expect(sink.bytes.equals(Buffer.alloc(600, 7))).toBe(true);
});

test('a dump of which only a part came is marked incomplete, whoever sent it', () => {
  const kdump = Buffer.alloc(4096);
  kdump.write('KDUMP   ');
  kdump.writeUInt32LE(2, 424);
  const elf = Buffer.alloc(4096);
  elf.write('\x7fELF\x02\x01\x01', 'latin1');
  const text = Buffer.alloc(4096, 'no dump at all ');
  const after = (bytes: Buffer): Buffer => run(streamOf([{ offset: 0, bytes }]).subarray(0, -16)).sink.bytes;
  expect(after(kdump).readUInt32LE(424)).toBe(2 | 8);
  expect(after(elf).readUInt32LE(48)).toBe(1);
  expect(after(text).equals(text)).toBe(true);
  // The rest is as it came.
  const marked = after(kdump);
  marked.writeUInt32LE(2, 424);
  expect(marked.equals(kdump)).toBe(true);
});

test('a descriptor that is no stream costs the output that was made for it', () => {
  const input = join(directory, 'input');
  writeFileSync(input, 'plain text');
  const fd = openSync(input, 'r');
  const sink = new MemorySink();
  expect(() => rearrange(fd, sink)).toThrow('not a flattened dump');
  closeSync(fd);
  expect(sink.discarded).toBe(true);
});

test('a pipe is read as it fills, and holes in the file are holes', () => {
  const fifo = join(directory, 'fifo');
  const stream = join(directory, 'stream');
  const output = join(directory, 'output');
  const pieces = [
    { offset: 64 * 2 ** 20, bytes: Buffer.alloc(300_000, 5) },
    { offset: 0, bytes: Buffer.from('header') },
  ];
  writeFileSync(stream, streamOf(pieces));
  spawnSync('mkfifo', [fifo]);
  const script = '{ head -c 5000 "$0"; sleep 0.2; tail -c +5001 "$0"; } > "$1"';
  const writer = spawn('sh', ['-c', script, stream, fifo]);
  const fd = openSync(fifo, 'r');
  const sink = openFileSink(output, { overwrite: false });
  expect(rearrange(fd, sink).records).toBe(2);
  sink.close();
  closeSync(fd);
  expect(writer.pid).toBeGreaterThan(0);
  const file = readFileSync(output);
  expect(file.length).toBe(64 * 2 ** 20 + 300_000);
  expect(file.toString('latin1', 0, 7)).toBe('header\0');
  expect(file.subarray(-300_000).equals(pieces[0]!.bytes)).toBe(true);
  expect(statSync(output).blocks * 512).toBeLessThan(2 ** 20);
});
