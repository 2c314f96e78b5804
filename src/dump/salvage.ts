import type { Progress } from '../lib/progress.ts';
import type { ByteSource } from './input/bytes.ts';
import { PageChecker } from './input/check-page.ts';
import { FlattenedBytes } from './input/flattened.ts';
import { KdumpSource } from './input/kdump-source.ts';
import { type Format, formatOf, openFiles, throughStream } from './input/open.ts';
import { copyStored } from './output/copy-stored.ts';
import type { Sink } from './output/sink.ts';
import { salvageElf } from './salvage-elf.ts';

/** What could be saved; plain JSON. */
export type SalvageReport = {
  readonly inputs: readonly string[];
  readonly output: string;
  /** Of the output. */
  readonly format: Format;
  /** Pages that the input promises: those that are in the output, and the others. */
  readonly pages: { readonly kept: number; readonly lost: number };
  /** What is wrong with a flattened stream, a sentence each. */
  readonly problems: readonly string[];
  /** Bytes written. */
  readonly bytes: number;
};

/**
 * Makes a valid dump of all that is there of a truncated or damaged one: kdump-compressed (also of a split set that is
 * not whole), an ELF core, or a flattened stream of either. The output is marked incomplete when anything is missing.
 * @throws KdumpError when nothing can be found without what is missing: headers, bitmaps, program headers
 */
export function salvage(paths: readonly string[], output: Sink, progress: Progress): SalvageReport {
  const files = openFiles(paths);
  try {
    return salvageFiles(files, output, progress);
  } finally {
    for (const file of files) file.close();
  }
}

/** The same for bytes that lie anywhere; they stay open. */
export function salvageFiles(files: readonly ByteSource[], output: Sink, progress: Progress): SalvageReport {
  const plain = files.map(throughStream);
  const problems = plain.flatMap((file) =>
    file instanceof FlattenedBytes ? file.problems.map((problem) => `${file.path}: ${problem}`) : [],
  );
  const format = plain.length === 1 ? formatOf(plain[0]!) : 'kdump';
  const pages =
    format === 'elf' ? salvageElf(plain[0]!, output, progress) : salvageKdump(plain, output, progress);
  return {
    inputs: files.map((file) => file.path),
    output: output.path,
    format,
    pages,
    problems,
    bytes: output.written,
  };
}

/** Bitmap 2 is reduced to the pages that are whole: each is decompressed before it is promised. */
function salvageKdump(
  files: readonly ByteSource[],
  output: Sink,
  progress: Progress,
): { kept: number; lost: number } {
  const source = new KdumpSource(files, true);
  const checker = new PageChecker(source.storedPages(), source.blockSize);
  return copyStored(source, output, progress, (pfn) => checker.check(pfn) === undefined);
}
