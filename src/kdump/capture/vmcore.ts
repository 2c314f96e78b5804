import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { PT_NOTE, readElfCore, readNotes } from '../../formats/elf.ts';
import { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import { KdumpError } from '../../lib/errors.ts';
import type { CollectHooks } from './machine.ts';

/** Bytes of notes that are looked at: one per CPU and VMCOREINFO, a few KiB each. */
const largestNotes = 64 << 20;

/**
 * What the crashed kernel says about itself in a vmcore's notes; undefined when it says nothing.
 * @throws KdumpError when it is no ELF core, or the errors of reading it.
 */
export function readVmcoreinfo(path: string): Vmcoreinfo | undefined {
  const fd = openSync(path, 'r');
  try {
    const read = (offset: number, length: number): Uint8Array => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    };
    for (const header of readElfCore(read, path).programHeaders) {
      if (header.type !== PT_NOTE) continue;
      const notes = readNotes(read(header.offset, Math.min(header.filesz, largestNotes)));
      const note = notes.find(({ name }) => name === 'VMCOREINFO');
      if (note !== undefined) return new Vmcoreinfo(Buffer.from(note.description).toString('latin1'));
    }
    return undefined;
  } finally {
    closeSync(fd);
  }
}

const pieceBytes = 4 << 20;
/** Zeros are left out of the file in runs of this size: what reads back is the same, and a small disk lasts longer. */
const holeBytes = 64 << 10;

/**
 * The collector `cp`: a plain copy of the vmcore in large pieces, zeros as holes, synced.
 * @throws KdumpError `vmcore-short` when the source ends early, or the error of reading or writing; what was copied stays.
 */
export function copyVmcore(
  source: string,
  target: string,
  hooks: CollectHooks,
): { bytes: number; holes: number } {
  const from = openSync(source, 'r');
  try {
    const to = openSync(target, 'wx', 0o600);
    try {
      const size = fstatSync(from).size;
      const piece = Buffer.alloc(pieceBytes);
      const zeros = Buffer.alloc(holeBytes);
      let holes = 0;
      for (let at = 0; at < size; ) {
        const length = readSync(from, piece, 0, Math.min(pieceBytes, size - at), at);
        if (length === 0)
          throw new KdumpError('vmcore-short', `${source} ends at ${at}, it should have ${size} bytes`, {
            facts: { source, size, found: at },
          });
        for (let start = 0; start < length; start += holeBytes) {
          const end = Math.min(start + holeBytes, length);
          if (zeros.compare(piece, start, end, 0, end - start) === 0) holes += end - start;
          else writeAllAt(to, piece.subarray(start, end), at + start);
        }
        at += length;
        hooks.progress('Copying vmcore', at, size);
      }
      ftruncateSync(to, size);
      fsyncSync(to);
      return { bytes: size, holes };
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}

function writeAllAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
