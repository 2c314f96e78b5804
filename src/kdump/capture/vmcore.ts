import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { openSource } from '../../dump/input/open.ts';
import type { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import { KdumpError } from '../../lib/errors.ts';
import { writeAll } from '../../system/durable.ts';
import type { CollectHooks } from './machine.ts';
import type { DumpOutput } from './targets/target.ts';

/**
 * What the crashed kernel says about itself in a vmcore's notes; undefined when it says nothing.
 * @throws KdumpError what opening a vmcore throws
 */
export function readVmcoreinfo(path: string): Vmcoreinfo | undefined {
  const source = openSource([path]);
  source.close();
  return source.vmcoreinfo;
}

const pieceBytes = 4 << 20;
/** Bytes of the vmcore, and how many of them became holes. */
type Copied = { readonly bytes: number; readonly holes: number };

/** Zeros are left out of a file in runs of this size: what reads back is the same, and a small disk lasts longer. */
const holeBytes = 64 << 10;

/**
 * The collector `cp`: a plain copy of the vmcore in large pieces, synced; into a file with zeros as holes, or as a plain
 * stream.
 * @throws KdumpError `vmcore-short` when the source ends early, or the error of reading or writing; what was copied stays.
 */
export function copyVmcore(source: string, to: DumpOutput, hooks: CollectHooks): Copied {
  // The source first: without it there is nothing to make a file for.
  const from = openSync(source, 'r');
  try {
    return to.kind === 'file'
      ? copyToFile(from, source, to.path, hooks)
      : { ...copyPieces(from, source, hooks, (piece) => to.stream.write([piece])), holes: 0 };
  } finally {
    closeSync(from);
  }
}

function copyToFile(from: number, source: string, path: string, hooks: CollectHooks): Copied {
  const fd = openSync(path, 'wx', 0o600);
  try {
    let holes = 0;
    const zeros = Buffer.alloc(holeBytes);
    const { bytes } = copyPieces(from, source, hooks, (piece, at) => {
      for (let start = 0; start < piece.length; start += holeBytes) {
        const end = Math.min(start + holeBytes, piece.length);
        if (zeros.compare(piece, start, end, 0, end - start) === 0) holes += end - start;
        else writeAll(fd, piece.subarray(start, end), at + start);
      }
    });
    ftruncateSync(fd, bytes);
    fsyncSync(fd);
    return { bytes, holes };
  } finally {
    closeSync(fd);
  }
}

function copyPieces(
  from: number,
  source: string,
  hooks: CollectHooks,
  take: (piece: Buffer, at: number) => void,
): { bytes: number } {
  const size = fstatSync(from).size;
  const piece = Buffer.alloc(pieceBytes);
  for (let at = 0; at < size; ) {
    const length = readSync(from, piece, 0, Math.min(pieceBytes, size - at), at);
    if (length === 0)
      throw new KdumpError('vmcore-short', `${source} ends at ${at}, it should have ${size} bytes`, {
        facts: { source, size, found: at },
      });
    take(piece.subarray(0, length), at);
    at += length;
    hooks.progress('Copying vmcore', at, size);
  }
  return { bytes: size };
}
