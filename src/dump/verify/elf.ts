import { noPhysicalAddress, PT_LOAD, PT_NOTE, readElfCore, readNotes } from '../../formats/elf.ts';
import { Vmcoreinfo } from '../../formats/vmcoreinfo.ts';
import type { ByteSource } from '../input/bytes.ts';
import { reader } from '../input/kdump-part.ts';
import type { Findings } from './findings.ts';
import { verifyNotes } from './notes.ts';
import type { VerifiedPages } from './result.ts';

/** Offset of e_flags, and the bit in it by which makedumpfile says that it could not finish. */
const flagsAt = 48;
const incomplete = 1;

/**
 * Checks an ELF core: its segments lie within the file and, in the file, beside each other; its notes can be walked.
 * Pages have no checks of their own in this format.
 */
export function verifyElf(file: ByteSource, findings: Findings): VerifiedPages {
  const { path, size } = file;
  const read = reader(file);
  const { programHeaders } = readElfCore(read, path);
  if ((Buffer.from(read(flagsAt, 4)).readUInt32LE() & incomplete) !== 0)
    findings.add('incomplete', `${path}: the header says that the dump is not complete`);

  let pageSize = 4096;
  for (const [i, ph] of programHeaders.entries()) {
    if (ph.type !== PT_NOTE) continue;
    const notes = read(ph.offset, ph.filesz);
    verifyNotes(path, notes, ph.offset, findings);
    const info = readNotes(notes).find(({ name }) => name === 'VMCOREINFO');
    pageSize = (info && Vmcoreinfo.fromBytes(info.description).pageSize) || pageSize;
    if (ph.offset + ph.filesz > size) cut(path, i, 'PT_NOTE', ph.offset, ph.filesz, size, findings);
  }

  let stored = 0;
  let whole = 0;
  let present = 0;
  const placed: { start: number; end: number; index: number }[] = [];
  for (const [i, ph] of programHeaders.entries()) {
    if (ph.type !== PT_LOAD) continue;
    const there = Math.max(0, Math.min(ph.filesz, size - ph.offset));
    stored += Math.ceil(ph.filesz / pageSize);
    whole += Math.ceil(there / pageSize);
    if (ph.paddr !== noPhysicalAddress) present += Math.ceil(Math.max(ph.memsz, ph.filesz) / pageSize);
    if (there < ph.filesz) cut(path, i, 'PT_LOAD', ph.offset, ph.filesz, size, findings);
    if (ph.filesz > ph.memsz) {
      findings.add(
        'segment',
        `${path}: program header ${i} has ${ph.filesz} bytes of a segment of ${ph.memsz}`,
        {
          offset: ph.offset,
        },
      );
    }
    if (ph.filesz > 0) placed.push({ start: ph.offset, end: ph.offset + ph.filesz, index: i });
  }
  if (programHeaders.every((ph) => ph.type !== PT_LOAD))
    findings.add('segment', `${path}: no program header is a PT_LOAD, so there is no memory in it`);

  placed.sort((a, b) => a.start - b.start);
  for (let i = 1, furthest = placed[0]; i < placed.length; i++) {
    const next = placed[i]!;
    if (next.start < furthest!.end) {
      findings.add(
        'overlap',
        `${path}: program headers ${furthest!.index} and ${next.index} have data in the same place`,
        { offset: next.start },
      );
    }
    if (next.end > furthest!.end) furthest = next;
  }
  return { present, stored, whole, codecs: { none: whole } };
}

function cut(
  path: string,
  index: number,
  kind: string,
  offset: number,
  length: number,
  size: number,
  findings: Findings,
): void {
  findings.add(
    'truncated',
    `${path}: program header ${index} (${kind}) covers file offsets ${offset} to ${offset + length}, but the file ends at ${size}`,
    { offset },
  );
}
