import { readNotes } from '../../formats/elf.ts';
import type { Findings } from './findings.ts';

/** Checks that notes can be walked to their end, but for the zeros that the kernel leaves there. */
export function verifyNotes(path: string, notes: Uint8Array, offset: number, findings: Findings): void {
  const last = readNotes(notes).at(-1);
  const end = last === undefined ? 0 : last.offset + Math.ceil(last.description.length / 4) * 4;
  if (notes.subarray(end).some((byte) => byte !== 0)) {
    findings.add('notes', `${path}: after ${end} of ${notes.length} bytes the notes are no notes any more`, {
      offset: offset + end,
    });
  }
}
