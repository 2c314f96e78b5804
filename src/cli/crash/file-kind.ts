import { closeSync, openSync, readSync } from 'node:fs';

const ET_EXEC = 2;
const ET_DYN = 3;
/** e_type of an ELF header. */
const typeAt = 16;

/** Whether a file is a kernel that was linked, not memory of one. What cannot be read is for its reader to refuse. */
export function isNamelist(path: string): boolean {
  const head = Buffer.alloc(typeAt + 2);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return false;
  }
  try {
    if (readSync(file, head, 0, head.length, 0) < head.length) return false;
  } catch {
    return false;
  } finally {
    closeSync(file);
  }
  const type = head.readUInt16LE(typeAt);
  return head.toString('latin1', 0, 4) === '\x7fELF' && (type === ET_EXEC || type === ET_DYN);
}
