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

/** Whether a file is a program by itself, and not a script. */
export function isElf(path: string): boolean {
  return firstBytes(path, 4).toString('latin1') === '\x7fELF';
}

/** What a script names in its first line, in words; undefined when it names nothing. */
export function readShebang(path: string): string[] | undefined {
  const found = /^#!\s*([^\n]*)/.exec(firstBytes(path, longestShebang).toString());
  return found === null ? undefined : found[1]!.trim().split(/\s+/);
}

/** As much as the kernel looks at (BINPRM_BUF_SIZE). */
const longestShebang = 256;

function firstBytes(path: string, length: number): Buffer {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, 0));
  } finally {
    closeSync(fd);
  }
}
