import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { KdumpError } from '../../lib/errors.ts';
import { FileWindow, isProcFile } from '../../system/mapping.ts';
import { FileBlocks } from './file-blocks.ts';

/** Bytes of a dump in file order: a file, or a file that lies in the records of a flattened stream. */
export type ByteSource = {
  /** For messages. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Fills `target` from `offset` on, which may be beyond 2^53 if a number holds it exactly.
   * @returns bytes that could be read: fewer than wanted when the file ends or cannot be read further
   */
  readInto(offset: number, target: Uint8Array): number;
  /**
   * The same without a copy, where the bytes are in memory anyway.
   * @returns undefined when they are not: the caller reads instead
   */
  view(offset: number, length: number): View | undefined;
  close(): void;
};

/** Bytes in memory; good until the next `view` of the same source. */
export type View = {
  readonly bytes: Buffer;
  /** Address of bytes[0]; the view keeps its memory reachable. */
  readonly address: number;
  /** Where the bytes that were asked for begin. */
  readonly at: number;
  /** Bytes from `at` on that may be looked at: those that were asked for, or more. */
  readonly length: number;
};

/**
 * Pieces that are mapped at once. In procfs small, for the page tables of a capture kernel: mmap(2) of /proc/vmcore
 * fills them at once. Of an ordinary file large, since nothing happens before a page is touched; but below 2^31, where
 * indices are still small integers to V8.
 */
const procWindow = 16 * 2 ** 20;
const fileWindow = 2 ** 30;
const hostPage = 4096;
/** Shorter reads take their bytes from blocks that are kept. */
const shortRead = 2048;

/** A file, seen through a window that is moved over it. */
export class FileBytes implements ByteSource {
  readonly path: string;
  readonly size: number;
  readonly #fd: number;
  readonly #windowSize: number;
  /** Given up for good when the kernel cannot map this file. */
  #mappable = true;
  #window: FileWindow | undefined;
  #blocks: FileBlocks | undefined;
  /** What of the file the window shows; nothing while both are equal. */
  #from = 0;
  #to = 0;

  /** @throws KdumpError `open-failed` */
  constructor(path: string) {
    this.path = path;
    this.#fd = openForReading(path);
    this.size = fstatSync(this.#fd).size;
    this.#windowSize = isProcFile(path) ? procWindow : fileWindow;
  }

  /** Reads from now on instead of mapping, for a file that may shrink meanwhile (makedumpfile --non-mmap). */
  neverMap(): void {
    this.#mappable = false;
  }

  readInto(offset: number, target: Uint8Array): number {
    if (target.length <= shortRead && this.#mappable && offset + target.length <= this.size) {
      this.#blocks ??= new FileBlocks((from, block) => this.#readInto(from, block));
      if (this.#blocks.readInto(offset, target)) return target.length;
    }
    return this.#readInto(offset, target);
  }

  #readInto(offset: number, target: Uint8Array): number {
    let done = 0;
    while (done < target.length) {
      let got: number;
      try {
        got = readSync(this.#fd, target, done, target.length - done, BigInt(offset) + BigInt(done));
      } catch {
        return done;
      }
      if (got === 0) return done;
      done += got;
    }
    return done;
  }

  view(offset: number, length: number): View | undefined {
    if (!this.#mappable || offset + length > this.size) return undefined;
    if ((offset < this.#from || offset + length > this.#to) && !this.#move(offset, length)) return undefined;
    const { bytes, address } = this.#window!;
    return { bytes, address, at: offset - this.#from, length: this.#to - offset };
  }

  close(): void {
    this.#window?.close();
    closeSync(this.#fd);
  }

  #move(offset: number, length: number): boolean {
    const start = offset - (offset % hostPage);
    const end = Math.min(this.size, start + this.#windowSize);
    if (offset + length > end) return false;
    this.#window ??= new FileWindow(this.#windowSize);
    // A kernel that cannot map this file can still read it.
    this.#mappable = this.#window.move(this.#fd, start, end - start) === 0;
    this.#from = start;
    this.#to = this.#mappable ? end : start;
    return this.#mappable;
  }
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new KdumpError('open-failed', `${path}: cannot be opened: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
