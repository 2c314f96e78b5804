import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { PT_NOTE, readElfCore, readNotes } from '../../src/formats/elf.ts';

/**
 * Rewrites the VMCOREINFO note of an ELF vmcore in place: what a kernel that exports more, less or other keys would have
 * left. What gets shorter is padded with empty lines, which no reader minds.
 * @returns the text before
 */
export function editVmcoreinfo(path: string, edit: (text: string) => string): string {
  const fd = openSync(path, 'r+');
  try {
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    };
    const segment = readElfCore(read, path).programHeaders.find((ph) => ph.type === PT_NOTE)!;
    const notes = read(segment.offset, segment.filesz);
    const { description } = readNotes(notes).find((note) => note.name === 'VMCOREINFO')!;
    const before = Buffer.from(description).toString('latin1').replace(/\0.*$/s, '');
    const after = edit(before);
    if (after.length > before.length) throw new Error(`VMCOREINFO of ${path} grows`);
    const at = notes.indexOf(before, 0, 'latin1');
    writeSync(
      fd,
      Buffer.from(after.padEnd(before.length, '\n'), 'latin1'),
      0,
      before.length,
      segment.offset + at,
    );
    return before;
  } finally {
    closeSync(fd);
  }
}
