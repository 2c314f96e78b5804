import type { KdumpHeader } from '../../formats/diskdump-header.ts';
import { type ReadAt, readNotes } from '../../formats/elf.ts';

/** The notes that a dump carries, and where the VMCOREINFO text lies in them; all bytes. */
export type KdumpNotes = {
  readonly bytes: Uint8Array;
  readonly vmcoreinfoOffset: number;
  readonly vmcoreinfoSize: number;
};

/** Largest notes that are read where they do not lie before the bitmaps, as every writer puts them. */
const maxStrayNotes = 2 ** 24;

/**
 * Reads the notes of a kdump-compressed file. Ranges that are damaged cost the notes, not the dump: pages can be read
 * without them. A file of header version 3 carries VMCOREINFO alone; it gets a note around it.
 */
export function readKdumpNotes(header: KdumpHeader, read: ReadAt): KdumpNotes {
  const { note, vmcoreinfo } = header;
  const sensible = ({ offset, size }: typeof note): boolean =>
    size > 0 && (size <= maxStrayNotes || offset + size <= header.bitmap1Offset);
  let bytes = sensible(note) ? read(note.offset, note.size) : new Uint8Array(0);
  if (bytes.length === 0 && sensible(vmcoreinfo))
    bytes = vmcoreinfoNote(read(vmcoreinfo.offset, vmcoreinfo.size));
  const at = vmcoreinfo.offset - note.offset;
  if (note.size > 0 && vmcoreinfo.size > 0 && at >= 0 && at + vmcoreinfo.size <= bytes.length)
    return { bytes, vmcoreinfoOffset: at, vmcoreinfoSize: vmcoreinfo.size };
  const found = readNotes(bytes).find(({ name }) => name === noteName);
  return {
    bytes,
    vmcoreinfoOffset: found?.offset ?? 0,
    vmcoreinfoSize: found?.description.length ?? 0,
  };
}

const noteName = 'VMCOREINFO';

/** The note that the kernel would have written. */
function vmcoreinfoNote(text: Uint8Array): Uint8Array {
  const name = 12;
  const description = name + 12;
  const bytes = Buffer.alloc(description + Math.ceil(text.length / 4) * 4);
  bytes.writeUInt32LE(noteName.length + 1, 0);
  bytes.writeUInt32LE(text.length, 4);
  bytes.write(noteName, name, 'latin1');
  bytes.set(text, description);
  return bytes;
}
