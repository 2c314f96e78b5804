import { KdumpError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import { KdumpSource } from './input/kdump-source.ts';
import { openDump, openFiles, owning } from './input/open.ts';
import { copyStored } from './output/copy-stored.ts';
import type { Sink } from './output/sink.ts';

/** What was put together; plain JSON. */
export type ReassembleReport = {
  /** In the order of their page frames. */
  readonly inputs: readonly string[];
  readonly output: string;
  /** Pages of the dump, and those among them that a part should have and does not. */
  readonly pages: { readonly kept: number; readonly lost: number };
  /** Bytes written. */
  readonly bytes: number;
};

/**
 * Puts the parts of a split dump together: the very dump that was not split. Pages are copied as they are stored.
 * @param paths all parts, in any order
 * @throws KdumpError `split-set` for what is no whole set; what the readers and the sink throw
 */
export function reassemble(paths: readonly string[], output: Sink, progress: Progress): ReassembleReport {
  const source = owning(openFiles(paths), openDump);
  try {
    if (!(source instanceof KdumpSource) || !source.parts.every((part) => part.header.split)) {
      throw new KdumpError('split-set', `${source.path}: no part of a split set`, {
        fix: 'Give the parts that --split made.',
      });
    }
    const pages = copyStored(source, output, progress);
    return {
      inputs: source.parts.map((part) => part.file.path),
      output: output.path,
      pages,
      bytes: output.written,
    };
  } finally {
    source.close();
  }
}
