import { elfHeaderLayout, PN_XNUM, PT_INTERP, PT_LOAD, readElf } from '../../formats/elf.ts';
import { KdumpError } from '../../lib/errors.ts';
import { readStruct } from '../../lib/layout.ts';
import type { ImageContent } from './content.ts';

const ET_EXEC = 2;
const ET_DYN = 3;
const EM_X86_64 = 62;

/**
 * Refuses an ELF file that is no unpacked x86_64 kernel, or has lost a part. Only its headers are read.
 * @throws KdumpError `kernel-unsupported`, `kernel-truncated`, and what readElf throws
 */
export function checkVmlinux(content: ImageContent): void {
  const { name, size } = content;
  const unsupported = (why: string) =>
    new KdumpError('kernel-unsupported', `${name}: this ELF file is no vmlinux that can be loaded: ${why}`);
  const { phnum } = readStruct(
    elfHeaderLayout,
    content.read(0, Math.min(size, elfHeaderLayout.size)),
    0,
    name,
  );
  if (phnum === PN_XNUM) throw unsupported('it has more program headers than e_phnum at offset 56 can count');
  const elf = readElf((offset, length) => content.read(offset, length), name);
  if (elf.machine !== EM_X86_64)
    throw unsupported(`e_machine is ${elf.machine} at offset 18, x86_64 is ${EM_X86_64}`);
  if (elf.type !== ET_EXEC && elf.type !== ET_DYN)
    throw unsupported(`e_type is ${elf.type} at offset 16, a kernel has ${ET_EXEC} or ${ET_DYN}`);
  if (elf.programHeaders.some(({ type }) => type === PT_INTERP))
    throw unsupported('it has a PT_INTERP: it is a program');

  const loads = elf.programHeaders.filter(({ type }) => type === PT_LOAD);
  if (loads.length === 0) throw unsupported('it has no PT_LOAD');
  for (const { offset, filesz } of loads)
    if (offset + filesz > size)
      throw new KdumpError(
        'kernel-truncated',
        `${name}: truncated: a PT_LOAD ends at byte ${offset + filesz}, the file has ${size}`,
        { fix: 'Copy or install the kernel again.', facts: { size, expected: offset + filesz } },
      );
}
