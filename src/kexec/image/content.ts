import { createHash } from 'node:crypto';
import { fstatSync, readSync } from 'node:fs';
import { KdumpError } from '../../lib/errors.ts';
import { duplicate, writeMemfd } from '../../system/memfd.ts';
import { exitCodes } from '../uapi.ts';

/** Bytes of an image, wherever they lie: a file, a part of one, memory. Read in pieces: a vmlinux may be huge. */
export type ImageContent = {
  /** Bytes. */
  readonly size: number;
  /** For errors. */
  readonly name: string;
  /** @throws KdumpError `image-read` unless all of [offset, offset + length) can be read. */
  read(offset: number, length: number): Uint8Array;
};

/** Everything that an open file holds. It belongs to whoever opened it. */
export class FileContent implements ImageContent {
  readonly fd: number;
  readonly name: string;
  readonly size: number;

  constructor(fd: number, name: string) {
    this.fd = fd;
    this.name = name;
    this.size = fstatSync(fd).size;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    for (let have = 0; have < length; ) {
      const got = readSome(this, bytes.subarray(have), offset + have);
      if (got === 0)
        throw cannotRead(
          this.name,
          `ends at byte ${offset + have}, ${this.size} were there when it was opened`,
        );
      have += got;
    }
    return bytes;
  }
}

/** Bytes that are in memory. */
export function memoryContent(bytes: Uint8Array, name: string): ImageContent {
  const content = {
    size: bytes.length,
    name,
    read(offset: number, length: number): Uint8Array {
      checkRange(content, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
  return content;
}

/** [start, start + size) of another content, which it must lie within. */
export function partOf(whole: ImageContent, start: number, size: number, name: string): ImageContent {
  const content = {
    size,
    name,
    read(offset: number, length: number): Uint8Array {
      checkRange(content, offset, length);
      return whole.read(start + offset, length);
    },
  };
  return content;
}

/** One content behind the other. */
export function concatenate(contents: readonly ImageContent[], name: string): ImageContent {
  const joined = {
    size: contents.reduce((sum, { size }) => sum + size, 0),
    name,
    read(offset: number, length: number): Uint8Array {
      checkRange(joined, offset, length);
      const bytes = new Uint8Array(length);
      let start = 0;
      for (const content of contents) {
        const from = Math.max(offset, start);
        const to = Math.min(offset + length, start + content.size);
        if (from < to) bytes.set(content.read(from - start, to - from), from - offset);
        start += content.size;
      }
      return bytes;
    },
  };
  return joined;
}

const PIECE = 1024 * 1024;

/** SHA-256 of a content, hexadecimal. */
export function digestOf(content: ImageContent): string {
  const hash = createHash('sha256');
  for (const piece of piecesOf(content)) hash.update(piece);
  return hash.digest('hex');
}

/**
 * A descriptor of a file that holds just this content, for the caller to close: the file itself where there is one,
 * else a sealed one in memory.
 * @throws KdumpError `memfd`
 */
export function descriptorOf(content: ImageContent): number {
  if (content instanceof FileContent) return duplicate(content.fd);
  return writeMemfd('image', (write) => {
    for (const piece of piecesOf(content)) write(piece);
  });
}

function* piecesOf(content: ImageContent): Generator<Uint8Array> {
  for (let at = 0; at < content.size; at += PIECE) yield content.read(at, Math.min(PIECE, content.size - at));
}

function readSome({ fd, name }: FileContent, target: Uint8Array, position: number): number {
  try {
    return readSync(fd, target, 0, target.length, position);
  } catch (cause) {
    throw cannotRead(name, `cannot be read at byte ${position}: ${(cause as Error).message}`, cause);
  }
}

function checkRange({ name, size }: ImageContent, offset: number, length: number): void {
  if (offset < 0 || length < 0 || !(offset + length <= size))
    throw cannotRead(name, `bytes ${offset} to ${offset + length} were asked for, ${size} are there`);
}

function cannotRead(name: string, why: string, cause?: unknown): KdumpError {
  return new KdumpError('image-read', `${name}: ${why}`, {
    fix: 'If something is writing the file, try again when it is done.',
    facts: { name },
    exitCode: exitCodes.failed,
    cause,
  });
}
