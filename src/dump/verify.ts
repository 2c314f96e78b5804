import { KdumpError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import type { ByteSource } from './input/bytes.ts';
import { FlattenedBytes } from './input/flattened.ts';
import { type Format, formatOf, openFiles, throughStream } from './input/open.ts';
import { verifyElf } from './verify/elf.ts';
import { Findings } from './verify/findings.ts';
import { verifyKdump } from './verify/kdump.ts';
import type { VerifiedPages, VerifyReport } from './verify/result.ts';

const noPages: VerifiedPages = { present: 0, stored: 0, whole: 0, codecs: {} };

/**
 * Checks a dump from end to end: headers, bitmaps, notes, every descriptor, and that every page decompresses. Whatever
 * is wrong with the content is a finding; only what keeps us from looking is an error.
 * @param paths one dump, or the parts of a split set in any order
 * @throws KdumpError `open-failed`, `no-codec`
 */
export function verify(paths: readonly string[], progress: Progress): VerifyReport {
  const files = openFiles(paths);
  try {
    return verifyFiles(files, progress);
  } finally {
    for (const file of files) file.close();
  }
}

/** The same for bytes that lie anywhere; they stay open. */
export function verifyFiles(files: readonly ByteSource[], progress: Progress): VerifyReport {
  const findings = new Findings();
  let format: Format | undefined;
  let pages = noPages;
  let plain: ByteSource[] = [];
  try {
    plain = files.map(throughStream);
    for (const file of plain) if (file instanceof FlattenedBytes) verifyStream(file, findings);
    const formats = plain.map(formatOf);
    format = formats.every((other) => other === 'kdump') ? 'kdump' : formats[0];
    if (format === 'elf' && plain.length > 1)
      throw new KdumpError('split-set', 'several files are one dump only when all are kdump-compressed');
    pages = format === 'elf' ? verifyElf(plain[0]!, findings) : verifyKdump(plain, findings, progress);
  } catch (error) {
    if (!(error instanceof KdumpError) || error.code === 'no-codec') throw error;
    findings.add(error.code, error.message);
  }
  return {
    ok: findings.list.length === 0,
    files: files.map((file) => file.path),
    format,
    flattened: plain.some((file) => file instanceof FlattenedBytes),
    pages,
    findings: findings.list,
  };
}

function verifyStream(stream: FlattenedBytes, findings: Findings): void {
  for (const problem of stream.problems) findings.add('stream', `${stream.path}: ${problem}`);
  if (stream.overlapping > 0) {
    findings.add(
      'stream-overlap',
      `${stream.path}: ${stream.overlapping} of ${stream.records} records write where an earlier one wrote; crash(8) may take either`,
    );
  }
}
