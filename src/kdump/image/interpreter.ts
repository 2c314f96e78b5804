import { closeSync, openSync, readSync } from 'node:fs';
import { elfHeaderLayout, isElf } from '../../formats/elf.ts';
import { KdumpError } from '../../lib/errors.ts';
import { layout, readStruct } from '../../lib/layout.ts';

const programHeader = layout('Elf64_Phdr', 56, { type: [0, 'u32'], offset: [8, 'u64'], filesz: [32, 'u64'] });
const PT_INTERP = 3;
/** PATH_MAX: the kernel takes no longer path. */
const longestPath = 4096;

/**
 * The dynamic loader that a program names for itself (PT_INTERP); undefined for a static one.
 * @throws KdumpError `not-elf`, `truncated`
 */
export function readInterpreter(path: string): string | undefined {
  const fd = openSync(path, 'r');
  try {
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    };
    const head = read(0, elfHeaderLayout.size);
    if (!isElf(head) || head[4] !== 2)
      throw new KdumpError('not-elf', `${path} is not a 64-bit ELF program`, { facts: { path } });
    const { phoff, phnum, phentsize } = readStruct(elfHeaderLayout, head, 0, path);
    for (let i = 0; i < phnum; i++) {
      const at = phoff + i * phentsize;
      const header = readStruct(programHeader, read(at, programHeader.size), 0, `${path} offset ${at}`);
      if (header.type === PT_INTERP)
        return read(header.offset, Math.min(header.filesz, longestPath)).toString().replace(/\0.*$/s, '');
    }
    return undefined;
  } finally {
    closeSync(fd);
  }
}
