import { closeSync, fstatSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import {
  type Codec,
  codecFlag,
  type DumpHeader,
  encodeHeaders,
  headerLayout,
  pageDescSize,
  statusIncomplete,
} from '../formats/diskdump.ts';
import type { PageBitmap } from '../lib/bitmap.ts';
import { KdumpError } from '../lib/errors.ts';
import { writeStruct } from '../lib/layout.ts';
import { addressOf } from '../system/ffi.ts';
import { preallocate } from '../system/preallocate.ts';

/** Page data gathered before it is written: large enough that writing does not show, small in a capture kernel. */
const dataBytes = 2 ** 20;

/** A dump to be written. */
export type NewDump = {
  readonly path: string;
  readonly overwrite: boolean;
  readonly header: DumpHeader;
  /** Bitmap 1 piece by piece: unlike bitmap 2 it need not be held whole. */
  readonly bitmap1: Iterable<Uint8Array>;
  readonly bitmap2: PageBitmap;
  /** Bytes that a compressor may touch beyond the page it stores. */
  readonly slack: number;
};

/**
 * Writes one kdump-compressed file, pages in ascending order.
 *
 * The header says "incomplete" from the first byte on and stops saying so with the last: a file that a full disk, a
 * power cut or a watchdog ends is readable as far as it got. Data goes before its descriptors for the same reason:
 * a descriptor that is there points at data that is there, all others read as zero.
 */
export class KdumpWriter {
  readonly path: string;
  /** Bytes written so far, of every kind. */
  written = 0;

  readonly #fd: number;
  readonly #header: DumpHeader;
  /** Statically sized buffers; the address of the data buffer is good as long as this object lives. */
  readonly #data: Buffer;
  readonly #dataAddress: number;
  readonly #descriptors: Buffer;
  readonly #descriptorView: DataView;
  /** File offsets where the buffers' contents go. */
  #dataOffset: number;
  #descriptorOffset: number;
  #used = 0;
  #described = 0;
  /** File offset of the shared zero page; 0 when there is none. */
  #zeroPageOffset = 0;

  /**
   * Creates the file and writes headers and bitmaps.
   * @throws KdumpError `exists`, `create-failed`, `no-space`
   */
  constructor({ path, overwrite, header, bitmap1, bitmap2, slack }: NewDump) {
    this.path = path;
    this.#header = { ...header, status: header.status | statusIncomplete };
    this.#data = Buffer.alloc(dataBytes + slack);
    this.#dataAddress = addressOf(this.#data);
    this.#descriptors = Buffer.alloc(pageDescSize * descriptorsHeld);
    this.#descriptorView = new DataView(
      this.#descriptors.buffer,
      this.#descriptors.byteOffset,
      this.#descriptors.length,
    );
    const { layout } = header;
    this.#dataOffset = layout.dataOffset;
    this.#descriptorOffset = layout.descriptorOffset;
    this.#fd = createOutput(path, overwrite);
    try {
      this.#write(encodeHeaders(this.#header), 0);
      let at = layout.bitmapOffset;
      for (const piece of bitmap1) {
        this.#write(piece, at);
        at += piece.length;
      }
      this.#write(bitmap2.bytes, layout.bitmapOffset + layout.bitmapBytes);
      // Descriptors that will never be written must read as zero, and those that will must find room on a full disk.
      if (fstatSync(this.#fd).isFile()) ftruncateSync(this.#fd, layout.dataOffset);
      preallocate(this.#fd, layout.descriptorOffset, layout.dataOffset - layout.descriptorOffset);
    } catch (error) {
      // Without its headers a file is worth nothing; a device node that was written to is not ours to remove.
      const ours = fstatSync(this.#fd).isFile();
      closeSync(this.#fd);
      if (ours) unlinkSync(path);
      if (isNoSpace(error))
        throw new KdumpError('no-space', `${path}: no space for the headers of the dump; nothing was kept`, {
          cause: error,
        });
      throw error;
    }
  }

  /** Stores the shared zero page; must be the first page stored. */
  storeZeroPage(size: number): void {
    this.#zeroPageOffset = this.#dataOffset;
    this.#data.fill(0, 0, size);
    this.#used = size;
  }

  /** Address to which the next page may be compressed, with room for a page and the slack. */
  target(pageSize: number): number {
    if (this.#used + pageSize > dataBytes || this.#described === descriptorsHeld) this.flush();
    return this.#dataAddress + this.#used;
  }

  /** Takes what was put at `target`. */
  commit(size: number, codec: Codec): void {
    this.#describe(this.#dataOffset + this.#used, size, codecFlag[codec]);
    this.#used += size;
  }

  /** Stores a page as it is. */
  commitRaw(bytes: Buffer, at: number, size: number): void {
    bytes.copy(this.#data, this.#used, at, at + size);
    this.commit(size, 'none');
  }

  /** Refers to the shared zero page. */
  commitZero(size: number): void {
    if (this.#described === descriptorsHeld) this.flush();
    this.#describe(this.#zeroPageOffset, size, codecFlag.none);
  }

  /**
   * Writes what is gathered.
   * @throws KdumpError `no-space`; every page whose data is in the file has its descriptor then
   */
  flush(): void {
    const stored = this.#writeSome(this.#data.subarray(0, this.#used), this.#dataOffset);
    const described =
      stored === this.#used ? this.#described : this.#describedUpTo(this.#dataOffset + stored);
    this.#write(this.#descriptors.subarray(0, described * pageDescSize), this.#descriptorOffset);
    if (stored < this.#used) throw noSpace(this.path, this.written);
    this.#dataOffset += this.#used;
    this.#descriptorOffset += this.#described * pageDescSize;
    this.#used = 0;
    this.#described = 0;
  }

  /** Writes the rest and takes the word "incomplete" from the header. */
  finish(): void {
    this.flush();
    const head = encodeHeaders(this.#header).subarray(0, headerLayout.size);
    writeStruct(headerLayout, head, 0, { status: this.#header.status & ~statusIncomplete });
    this.#write(head, 0);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #describe(offset: number, size: number, flags: number): void {
    const at = this.#described++ * pageDescSize;
    const view = this.#descriptorView;
    view.setUint32(at, offset % 2 ** 32, true);
    view.setUint32(at + 4, Math.floor(offset / 2 ** 32), true);
    view.setUint32(at + 8, size, true);
    view.setUint32(at + 12, flags, true);
    // page_flags at +16 is always 0, as the buffer is.
  }

  /** Number of leading descriptors whose data ends at or before a file offset. */
  #describedUpTo(end: number): number {
    for (let n = 0; n < this.#described; n++) {
      const at = n * pageDescSize;
      const offset =
        this.#descriptorView.getUint32(at, true) + this.#descriptorView.getUint32(at + 4, true) * 2 ** 32;
      if (offset + this.#descriptorView.getUint32(at + 8, true) > end) return n;
    }
    return this.#described;
  }

  #write(bytes: Uint8Array, offset: number): void {
    if (this.#writeSome(bytes, offset) < bytes.length) throw noSpace(this.path, this.written);
  }

  /** Writes until all is written or the file system is full; gives the number of bytes that got there. */
  #writeSome(bytes: Uint8Array, offset: number): number {
    let done = 0;
    while (done < bytes.length) {
      try {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, offset + done);
      } catch (error) {
        if (!isNoSpace(error)) {
          throw new KdumpError(
            'write-failed',
            `${this.path}: offset ${offset + done}: ${(error as Error).message}`,
            { cause: error },
          );
        }
        break;
      }
    }
    this.written += done;
    return done;
  }
}

/** Descriptors gathered before they are written: enough for pages that shrink to 64 bytes, and for runs of zero pages. */
const descriptorsHeld = 16384;

function createOutput(path: string, overwrite: boolean): number {
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

/** A full disk, a spent quota, or a file as large as the file system or a limit lets it be. */
const isNoSpace = (error: unknown): boolean => {
  if (error instanceof KdumpError) return error.code === 'no-space';
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
};

function noSpace(path: string, written: number): KdumpError {
  return new KdumpError(
    'no-space',
    `${path}: no space left after ${written} bytes; the dump is readable as far as it goes and marked incomplete`,
    {
      fix: 'Free some space or use a higher dump level.',
      facts: { written },
    },
  );
}
