import { closeSync, openSync, readSync } from 'node:fs';
import { PT_INTERP, readElf } from '../../formats/elf.ts';

/** PATH_MAX: the kernel takes no longer path. */
const longestPath = 4096;

/**
 * The dynamic loader that a program names for itself (PT_INTERP); undefined for a static one.
 * @throws KdumpError `not-elf`, `unsupported-elf`, `truncated`
 */
export function readInterpreter(path: string): string | undefined {
  const fd = openSync(path, 'r');
  try {
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    };
    const header = readElf(read, path).programHeaders.find(({ type }) => type === PT_INTERP);
    if (header === undefined) return undefined;
    return read(header.offset, Math.min(header.filesz, longestPath)).toString().replace(/\0.*$/s, '');
  } finally {
    closeSync(fd);
  }
}
