import {
  closeSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { KdumpError } from '../../lib/errors.ts';
import { preallocate } from '../../system/preallocate.ts';
import { isNoSpace } from './no-space.ts';
import type { Sink } from './sink.ts';

export type FileSinkOptions = {
  /** Whether a file that exists is overwritten (-f). */
  readonly overwrite: boolean;
  /** Size at which the file counts as full, bytes (-L). */
  readonly limit?: number;
  /** Files that are read meanwhile, and so must not be overwritten whatever is asked for. */
  readonly inputs?: readonly string[];
};

/** Zeros that are written at once where no file system makes them. */
const zeroBytes = 2 ** 20;

/**
 * Creates a file for a dump, or opens a block device as one.
 * @throws KdumpError `exists`, `create-failed`, `overwrites-input`
 */
export function openFileSink(path: string, options: FileSinkOptions): Sink {
  refuseInputs(path, options.inputs ?? []);
  const fd = create(path, options.overwrite);
  return new FileSink(path, fd, fstatSync(fd), options.limit ?? Number.POSITIVE_INFINITY);
}

class FileSink implements Sink {
  readonly path: string;
  readonly rewritable = true;
  written = 0;
  readonly #fd: number;
  readonly #opened: Stats;
  readonly #limit: number;

  constructor(path: string, fd: number, opened: Stats, limit: number) {
    this.path = path;
    this.#fd = fd;
    this.#opened = opened;
    this.#limit = limit;
  }

  write(bytes: Uint8Array, offset: number): number {
    const done = this.#write(bytes, offset);
    this.written += done;
    return done;
  }

  readBack(offset: number, target: Uint8Array): boolean {
    for (let done = 0; done < target.length; ) {
      let got: number;
      try {
        got = readSync(this.#fd, target, done, target.length - done, offset + done);
      } catch {
        return false;
      }
      if (got === 0) return false;
      done += got;
    }
    return true;
  }

  /** The range reads as zeros afterwards; that it has its blocks is tried, not promised. */
  reserve(offset: number, length: number): void {
    const end = Math.min(offset + length, this.#limit);
    if (end <= offset) return;
    if (this.#opened.isBlockDevice()) {
      // What was on the device before must not be taken for a part of the dump.
      const zeros = Buffer.alloc(Math.min(zeroBytes, end - offset));
      for (let at = offset; at < end; at += zeros.length) {
        if (this.#write(zeros.subarray(0, end - at), at) < Math.min(zeros.length, end - at)) return;
      }
      return;
    }
    if (!this.#opened.isFile()) return;
    try {
      if (fstatSync(this.#fd).size < end) ftruncateSync(this.#fd, end);
    } catch {
      // Too large for this file system: writing will tell, with as much of the dump as fits.
      return;
    }
    preallocate(this.#fd, offset, end - offset);
  }

  /** @throws KdumpError `write-failed`: a network file system may tell only now that it has no room */
  close(): void {
    try {
      closeSync(this.#fd);
    } catch (error) {
      throw new KdumpError('write-failed', `${this.path}: cannot be closed: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  discard(): void {
    if (!this.#opened.isFile()) return;
    if (isSame(lookAt(this.path, lstatSync), this.#opened)) unlinkSync(this.path);
    // Reached by a link, or renamed meanwhile: the name is not ours, the content is.
    else ftruncateSync(this.#fd, 0);
  }

  #write(bytes: Uint8Array, offset: number): number {
    const wanted = Math.max(0, Math.min(bytes.length, this.#limit - offset));
    let done = 0;
    while (done < wanted) {
      try {
        done += writeSync(this.#fd, bytes, done, wanted - done, offset + done);
      } catch (error) {
        if (isNoSpace(error)) break;
        throw new KdumpError(
          'write-failed',
          `${this.path}: offset ${offset + done}: ${(error as Error).message}`,
          { cause: error },
        );
      }
    }
    return done;
  }
}

function refuseInputs(path: string, inputs: readonly string[]): void {
  const output = lookAt(path, statSync);
  const input = inputs.find((name) => isSame(lookAt(name, statSync), output));
  if (input === undefined) return;
  throw new KdumpError('overwrites-input', `${path}: is the very file that is read, ${input}`, {
    fix: 'Give another name for the output.',
  });
}

function lookAt(path: string, look: (path: string) => Stats): Stats | undefined {
  try {
    return look(path);
  } catch {
    return undefined;
  }
}

const isSame = (a: Stats | undefined, b: Stats | undefined): boolean =>
  a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;

function create(path: string, overwrite: boolean): number {
  try {
    return openSync(path, overwrite ? 'w+' : 'wx+', 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      throw new KdumpError('exists', `${path}: the file exists already`, {
        fix: 'Give another name, or -f to overwrite it.',
        cause: error,
      });
    }
    if (code === 'ENOENT') {
      throw new KdumpError('create-failed', `${path}: the directory does not exist`, { cause: error });
    }
    throw new KdumpError('create-failed', `${path}: cannot be created: ${message}`, { cause: error });
  }
}
