import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFlattenedSink } from '../../../src/dump/output/flattened-sink.ts';
import { decodeRecordHead, encodeFlattenedHeader, isTerminator } from '../../../src/formats/flattened.ts';
import { KdumpError } from '../../../src/lib/errors.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
let directory: string;
/** The sink for other processes. */
let bundle: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'flattened-sink-'));
  bundle = join(directory, 'sink.mjs');
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  await build({
    entryPoints: [join(root, 'src/dump/output/flattened-sink.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
  });
});
afterAll(() => rmSync(directory, { recursive: true }));

type Piece = { offset: number; bytes: Buffer };

/** The records of a whole stream; throws for one that is not. */
function recordsOf(stream: Buffer): Piece[] {
  expect(stream.subarray(0, 4096).equals(encodeFlattenedHeader())).toBe(true);
  const records: Piece[] = [];
  for (let at = 4096; ; ) {
    const head = decodeRecordHead(stream, at);
    at += 16;
    if (isTerminator(head)) {
      expect(at).toBe(stream.length);
      return records;
    }
    expect(at + head.size).toBeLessThanOrEqual(stream.length);
    records.push({ offset: head.offset, bytes: Buffer.from(stream.subarray(at, at + head.size)) });
    at += head.size;
  }
}

/** A sink into memory. */
function memorySink(limit?: number) {
  const pieces: Buffer[] = [];
  const sink = openFlattenedSink(
    (given) => {
      for (const piece of given) pieces.push(Buffer.from(piece));
    },
    limit === undefined ? {} : { limit },
  );
  return { sink, stream: () => Buffer.concat(pieces) };
}

const bytesOf = (length: number, seed = 1): Buffer => Buffer.alloc(length, (seed % 255) + 1);

test('each write is a record in the order of writing, and close() ends the stream', () => {
  const { sink, stream } = memorySink();
  expect(sink.rewritable).toBe(false);
  expect(sink.write(bytesOf(100, 1), 5000)).toBe(100);
  expect(sink.write(bytesOf(4, 2), 424)).toBe(4);
  expect(sink.write(Buffer.alloc(0), 424)).toBe(0);
  sink.close();
  expect(recordsOf(stream())).toEqual([
    { offset: 5000, bytes: bytesOf(100, 1) },
    { offset: 424, bytes: bytesOf(4, 2) },
  ]);
  expect(sink.written).toBe(stream().length);
});

test('small writes to a region that was reserved become few records, which come after the data of the same time', () => {
  const { sink, stream } = memorySink();
  const blocks = 1000;
  const size = 128 * 24;
  sink.reserve(4096, blocks * size);
  for (let i = 0; i < blocks; i++) {
    sink.write(bytesOf(2000, i), 10_000_000 + i * 100_000);
    sink.write(bytesOf(size, i), 4096 + i * size);
  }
  sink.close();
  expect(sink.written).toBe(stream().length);
  let blocksSent = 0;
  let next = 4096;
  let records = 0;
  for (const { offset, bytes } of recordsOf(stream())) {
    if (offset >= 10_000_000) {
      blocksSent++;
      continue;
    }
    records++;
    expect(offset).toBe(next);
    next += bytes.length;
    expect((next - 4096) / size).toBeLessThanOrEqual(blocksSent);
    for (let at = 0; at < bytes.length; at += size)
      expect(bytes[at]).toBe((((offset - 4096 + at) / size) % 255) + 1);
  }
  expect(next).toBe(4096 + blocks * size);
  expect(records).toBe(Math.ceil(blocks / Math.floor(65536 / size)));
});

test('a reserved region takes pieces in any order and of any size', () => {
  const { sink, stream } = memorySink();
  sink.reserve(1000, 300_000);
  const pieces = [
    [1000, 50_000],
    [51_000, 20_000],
    [200_000, 10],
    [200_010, 90_000],
    [100_000, 100],
  ] as const;
  for (const [i, [at, length]] of pieces.entries()) sink.write(bytesOf(length, i), at);
  sink.close();
  expect(recordsOf(stream()).map(({ offset, bytes }) => [offset, bytes.length, bytes[0]])).toEqual(
    pieces.map(([at, length], i) => [at, length, i + 1]),
  );
});

test('a stream without a record is one, too', () => {
  const { sink, stream } = memorySink();
  sink.close();
  expect(recordsOf(stream())).toEqual([]);
});

test('nothing is written twice: the second time is refused and sends nothing', () => {
  const { sink, stream } = memorySink();
  sink.write(bytesOf(100), 1000);
  expect(() => sink.write(bytesOf(1), 1099)).toThrow('offset 1099: 1 bytes are written twice');
  sink.close();
  expect(recordsOf(stream())).toEqual([{ offset: 1000, bytes: bytesOf(100) }]);
});

test('whatever the limit, the stream ends within it, and holds what write() says it holds', () => {
  const write = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 60_000, max: 70_000 }));
  const limits = fc.integer({ min: 4096 + 16, max: 100_000 });
  fc.assert(
    fc.property(limits, fc.array(write, { maxLength: 20 }), fc.boolean(), (limit, sizes, reserved) => {
      const { sink, stream } = memorySink(limit);
      const expected = Buffer.alloc(20 * 70_001);
      if (reserved) sink.reserve(2000, 50_000);
      let at = 0;
      for (const [i, size] of sizes.entries()) {
        const done = sink.write(bytesOf(size, i), at);
        expect(done).toBeLessThanOrEqual(size);
        expected.fill((i % 255) + 1, at, at + done);
        // Some of them touch.
        at += size + (size % 2);
      }
      sink.close();
      expect(stream().length).toBeLessThanOrEqual(limit);
      expect(sink.written).toBe(stream().length);
      const file = Buffer.alloc(expected.length);
      for (const record of recordsOf(stream())) record.bytes.copy(file, record.offset);
      expect(file.equals(expected)).toBe(true);
    }),
  );
});

test('a full stream still has room for what was reserved, and for the fields that come last', () => {
  const { sink, stream } = memorySink(100_000);
  const descriptors = 24 * 500;
  sink.reserve(4096, descriptors);
  let data = 1_000_000;
  for (let done = 5000; done === 5000; data += done) done = sink.write(bytesOf(5000), data);
  expect(sink.write(bytesOf(5000), data)).toBe(0);
  // One record for every eight pages, as with pages of 64 KiB.
  for (let at = 0; at < descriptors; at += 192)
    expect(sink.write(bytesOf(Math.min(192, descriptors - at)), 4096 + at)).toBe(
      Math.min(192, descriptors - at),
    );
  for (const [at, size] of [
    [64, 16],
    [424, 4],
  ] as const)
    expect(sink.write(bytesOf(size), at)).toBe(size);
  sink.close();
  expect(stream().length).toBeLessThanOrEqual(100_000);
  const total = recordsOf(stream()).reduce((sum, { bytes }) => sum + bytes.length, 0);
  // Nearly all of the limit holds data.
  expect(total).toBeGreaterThan(100_000 - 4096 - 16 * 100 - 4096);
});

test('a writer that fails leaves no terminator behind, and says why ever after', () => {
  const failure = new KdumpError('write-failed', 'the disk is on fire');
  let calls = 0;
  const sink = openFlattenedSink(() => {
    if (++calls > 1) throw failure;
  });
  expect(() => sink.write(bytesOf(100_000), 0)).toThrow(failure);
  expect(() => sink.write(bytesOf(10), 100_000)).toThrow(failure);
  sink.close();
  expect(calls).toBe(2);
});

test('a file is written from where it stands', () => {
  const path = join(directory, 'stream');
  const fd = openSync(path, 'w');
  const sink = openFlattenedSink(fd);
  sink.write(bytesOf(3 * 2 ** 20), 4096);
  sink.close();
  closeSync(fd);
  const [record, ...others] = recordsOf(readFileSync(path));
  expect(others).toEqual([]);
  expect(record?.offset).toBe(4096);
  expect(record?.bytes.equals(bytesOf(3 * 2 ** 20))).toBe(true);
});

test('a full device ends the stream with an error that names it', () => {
  const fd = openSync('/dev/full', 'w');
  try {
    openFlattenedSink(fd);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(KdumpError);
    expect((error as KdumpError).code).toBe('write-failed');
    expect((error as KdumpError).message).toContain('no space left');
  } finally {
    closeSync(fd);
  }
});

/** Runs `body`, with `openFlattenedSink`, in a node whose output goes to `reader`, a shell command. */
function pipeTo(body: string, reader: string) {
  const program = `import { openFlattenedSink } from ${JSON.stringify(bundle)};\n${body}`;
  return spawnSync(
    'bash',
    ['-c', `"$0" --input-type=module -e "$1" | ${reader}`, process.execPath, program],
    {
      encoding: 'latin1',
      maxBuffer: 2 ** 26,
    },
  );
}

test('a slow reader of a non-blocking pipe gets everything', () => {
  const { stdout, stderr } = pipeTo(
    `process.stdout; // makes the pipe non-blocking
     const sink = openFlattenedSink(1);
     for (let i = 0; i < 20; i++) sink.write(Buffer.alloc(100000, i + 1), i * 100000);
     sink.close();`,
    '(sleep 0.3; cat)',
  );
  expect(stderr).toBe('');
  const records = recordsOf(Buffer.from(stdout, 'latin1'));
  expect(records).toHaveLength(20);
  expect(
    records.every(
      ({ offset, bytes }, i) => offset === i * 100000 && bytes.equals(Buffer.alloc(100000, i + 1)),
    ),
  ).toBe(true);
});

test('a reader that goes away is an error, not a death by signal', () => {
  const { stderr } = pipeTo(
    `try {
       const sink = openFlattenedSink(1);
       for (let i = 0; i < 100; i++) sink.write(Buffer.alloc(100000), i * 100000);
     } catch (error) {
       process.stderr.write(error.code + ': ' + error.message);
     }`,
    'head -c 1000 >&2 > /dev/null',
  );
  expect(stderr).toBe('write-failed: standard output: the reader of the stream has gone');
});
