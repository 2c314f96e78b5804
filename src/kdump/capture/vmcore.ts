import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { openSource } from '../../dump/input/open.ts';
import type { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import { KdumpError } from '../../lib/errors.ts';
import { writeAll } from '../../system/durable.ts';
import type { CollectHooks } from './machine.ts';

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
          else writeAll(to, piece.subarray(start, end), at + start);
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
