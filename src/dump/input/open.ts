import { signature as kdumpSignature } from '../../formats/diskdump.ts';
import { isFlattened } from '../../formats/flattened.ts';
import { KdumpError } from '../../lib/errors.ts';
import { type ByteSource, FileBytes } from './bytes.ts';
import { ElfSource } from './elf-source.ts';
import { FlattenedBytes } from './flattened.ts';
import { KdumpSource } from './kdump-source.ts';
import type { DumpSource } from './source.ts';

export type OpenOptions = {
  /** False reads an ELF core instead of mapping it, for a file that may shrink meanwhile. */
  readonly mapped?: boolean;
};

/**
 * Opens a dump of any format that is read: told by its first bytes, never by its name.
 * @param paths one file, or all parts of a split set in any order
 * @throws KdumpError `open-failed`, `unknown-format`, `truncated`, and what the formats' readers throw
 */
export function openSource(paths: readonly string[], options: OpenOptions = {}): DumpSource {
  return owning(openFiles(paths, options), openDump);
}

/** Opens files, all or none. */
export function openFiles(paths: readonly string[], options: OpenOptions = {}): ByteSource[] {
  return owning([] as ByteSource[], (files) => {
    for (const path of paths) {
      const file = new FileBytes(path);
      if (options.mapped === false) file.neverMap();
      files.push(file);
    }
    return files;
  });
}

/** Makes something of files; closes them when that fails. */
export function owning<T>(files: ByteSource[], make: (files: ByteSource[]) => T): T {
  try {
    return make(files);
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

/** The same for bytes that lie anywhere. They stay open when it fails. */
export function openDump(files: readonly ByteSource[]): DumpSource {
  const plain = files.map(wholeStream);
  const formats = plain.map(formatOf);
  if (formats.every((format) => format === 'kdump') && plain.length > 0) return new KdumpSource(plain);
  if (plain.length === 1) return new ElfSource(plain[0]!);
  const odd = plain[formats.findIndex((format) => format !== 'kdump')];
  throw new KdumpError(
    'split-set',
    `${odd?.path ?? 'nothing'}: several files are read together only when all are parts of one kdump-compressed dump`,
  );
}

export type Format = 'elf' | 'kdump';

/** @throws KdumpError `unknown-format` naming what was found */
export function formatOf(file: ByteSource): Format {
  const head = Buffer.alloc(16);
  const bytes = head.subarray(0, file.readInto(0, head));
  const text = bytes.toString('latin1');
  if (text.startsWith('\x7fELF')) return 'elf';
  if (text.startsWith(kdumpSignature)) return 'kdump';
  const known = others.find(({ magic }) => text.startsWith(magic));
  const found = known?.what ?? (bytes.toString('hex', 0, 8).replace(/(..)(?=.)/g, '$1 ') || 'nothing');
  throw new KdumpError('unknown-format', `${file.path}: no dump that is read; found ${found} at offset 0`, {
    fix:
      known?.fix ??
      'Read are ELF64 cores, kdump-compressed dumps and flattened streams of either, of 64-bit little-endian machines.',
  });
}

/** What files begin with that look like dumps, but are none of ours. */
const others: readonly { magic: string; what: string; fix?: string }[] = [
  { magic: 'DISKDUMP', what: 'a dump of the ancient diskdump' },
  { magic: '\xed\x23\x8f\x61\x73\x01\x19\xa8', what: 'a dump of LKCD' },
  { magic: '\xa8\x19\x01\x73\x61\x8f\x23\xfd', what: 'a dump of s390 (zfcpdump)' },
  { magic: '\x1f\x8b', what: 'gzip data', fix: 'Decompress it first.' },
  { magic: '(\xb5/\xfd', what: 'zstd data', fix: 'Decompress it first.' },
  { magic: '\xfd7zXZ', what: 'xz data', fix: 'Decompress it first.' },
];

/** Looks through a flattened stream at the file in it. @throws KdumpError `truncated` for one that is not whole */
function wholeStream(file: ByteSource): ByteSource {
  const plain = throughStream(file);
  if (plain instanceof FlattenedBytes && !plain.complete) {
    throw new KdumpError('truncated', `${file.path}: ${plain.problems[0]}`, {
      fix: 'Copy it again from where it was taken, or save what is there with --salvage.',
      facts: { records: plain.records, problems: plain.problems.length },
    });
  }
  return plain;
}

/** The same without asking whether it is whole. */
export function throughStream(file: ByteSource): ByteSource {
  const head = Buffer.alloc(16);
  return isFlattened(head.subarray(0, file.readInto(0, head))) ? new FlattenedBytes(file) : file;
}
