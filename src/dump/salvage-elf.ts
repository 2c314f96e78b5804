import { type ElfFile, PT_LOAD, PT_NOTE, type ReadAt, readElfCore, readNotes } from '../formats/elf.ts';
import { KdumpError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import type { ByteSource } from './input/bytes.ts';
import { FlattenedBytes } from './input/flattened.ts';
import { reader } from './input/kdump-part.ts';
import type { Sink } from './output/sink.ts';

/** Offsets in Elf64_Ehdr and Elf64_Phdr of what changes, and the size of a program header; elf(5). */
const phoffAt = 32;
const flagsAt = 48;
const phentsize = 56;
const fileszAt = 32;
/** e_flags of a core that its writer could not finish (makedumpfile's DUMP_ELF_INCOMPLETE). */
const incomplete = 1;
/** Bytes of a page, when VMCOREINFO does not say. */
const usualPage = 4096;
const copyBytes = 2 ** 20;

/**
 * Writes an ELF core whose segments promise what the file has: p_filesz is cut, p_memsz stays, so that the rest is
 * known to be missing. Everything else is copied as it is.
 * @returns pages of the PT_LOADs that are there and that are not
 * @throws KdumpError when the headers are not there; `read-failed`, `no-space`
 */
export function salvageElf(
  file: ByteSource,
  output: Sink,
  progress: Progress,
): { kept: number; lost: number } {
  const read = reader(file);
  const elf = readElfCore(read, file.path);
  const phoff = Number(Buffer.from(read(phoffAt, 8)).readBigUInt64LE());
  const table = elf.programHeaders.length * phentsize;
  if (bytesThere(file, phoff, table) < table) {
    throw new KdumpError(
      'truncated',
      `${file.path}: the program headers at offset ${phoff} are not there, so nothing in it can be found`,
      { facts: { offset: phoff, size: table } },
    );
  }
  const page = pageSizeOf(elf, read);
  const changes: Change[] = [];
  const pages = { kept: 0, lost: 0 };
  for (const [i, ph] of elf.programHeaders.entries()) {
    const there = bytesThere(file, ph.offset, ph.filesz);
    // A segment that is cut ends where a page ends, so that no page is half there.
    const extra = ph.type === PT_LOAD ? (Number(ph.paddr % BigInt(page)) + there) % page : 0;
    const filesz = there === ph.filesz ? there : Math.max(0, there - extra);
    if (ph.type === PT_LOAD) {
      pages.kept += Math.ceil(filesz / page);
      pages.lost += Math.ceil(ph.filesz / page) - Math.ceil(filesz / page);
    }
    if (filesz === ph.filesz) continue;
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(filesz));
    changes.push({ offset: phoff + i * phentsize + fileszAt, bytes });
  }
  if (changes.length > 0) {
    const flags = Buffer.from(read(flagsAt, 4));
    flags.writeUInt32LE((flags.readUInt32LE() | incomplete) >>> 0);
    changes.push({ offset: flagsAt, bytes: flags });
  }
  copy(file, output, changes, progress);
  return pages;
}

/** The kernel's page size, when the notes are there to tell. */
function pageSizeOf(elf: ElfFile, read: ReadAt): number {
  const note = elf.programHeaders.findLast((ph) => ph.type === PT_NOTE);
  const notes = note === undefined ? [] : readNotes(read(note.offset, note.filesz));
  const info = notes.find(({ name }) => name === 'VMCOREINFO');
  const size = info === undefined ? undefined : /^PAGESIZE=(\d+)$/m.exec(latin1(info.description))?.[1];
  return Number(size ?? 0) || usualPage;
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** Bytes of a range that the file has, from its beginning on. */
function bytesThere(file: ByteSource, offset: number, length: number): number {
  const inside = Math.max(0, Math.min(length, file.size - offset));
  return file instanceof FlattenedBytes && !file.complete ? file.held(offset, inside) : inside;
}

type Change = { readonly offset: number; readonly bytes: Uint8Array };

function copy(file: ByteSource, output: Sink, changes: readonly Change[], progress: Progress): void {
  const buffer = Buffer.alloc(copyBytes);
  for (let at = 0; at < file.size; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(copyBytes, file.size - at));
    const got = file.readInto(at, piece);
    if (got < piece.length)
      throw new KdumpError('read-failed', `${file.path}: offset ${at + got} cannot be read`);
    for (const change of changes) put(piece, at, change);
    if (output.write(piece, at) < piece.length) {
      throw new KdumpError(
        'no-space',
        `${output.path}: no space left after ${output.written} bytes; what is there ends early`,
        { fix: 'Free some space.', facts: { written: output.written } },
      );
    }
    progress('Copying data', at + piece.length, file.size);
  }
}

/** Overwrites what of `change` lies in the piece of the file that begins at `at`. */
function put(piece: Buffer, at: number, { offset, bytes }: Change): void {
  const from = Math.max(0, at - offset);
  const to = Math.min(bytes.length, at + piece.length - offset);
  if (from < to) piece.set(bytes.subarray(from, to), offset + from - at);
}
