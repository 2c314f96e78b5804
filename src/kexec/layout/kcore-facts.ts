import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { noPhysicalAddress, type ProgramHeader, PT_LOAD, readElfCore } from '../../formats/elf.ts';
import { describeError } from '../../lib/errors.ts';
import type { Range } from '../../lib/ranges.ts';
import { readFiveLevel } from '../../system/proc.ts';
import type { LayoutFacts } from './layout-facts.ts';

/** Where x86_64 maps the kernel image and all memory (Documentation/arch/x86/x86_64/mm.rst), without KASLR. */
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
const PAGE_OFFSET = { fourLevel: 0xffff_8880_0000_0000n, fiveLevel: 0xff11_0000_0000_0000n } as const;

export type KcoreFacts = Pick<LayoutFacts, 'kernelText' | 'pageOffset'> & { readonly warnings: string[] };

/**
 * At which virtual addresses the running kernel has its image and all memory, by the program headers of /proc/kcore.
 * Their physical addresses tell which is which [since 4.11], so no symbol is needed: kptr_restrict may hide those.
 * Failing is a warning only: VMCOREINFO says the same to whoever reads the dump.
 * @param kernel physical place of the running kernel
 */
export function readKcoreFacts(root: string, kernel: Range | null): KcoreFacts {
  const pageOffset = readFiveLevel(root) === true ? PAGE_OFFSET.fiveLevel : PAGE_OFFSET.fourLevel;
  const without = (why: string): KcoreFacts => ({
    kernelText: null,
    pageOffset,
    warnings: [`the ELF core header will not say where the kernel's text is mapped: ${why}`],
  });
  const path = join(root, 'proc/kcore');
  let mappings: readonly ProgramHeader[];
  try {
    mappings = readMappings(path);
  } catch (error) {
    return without(describeError(error));
  }
  const memory = mappings.find(({ vaddr, paddr }) => vaddr < START_KERNEL_MAP && paddr !== noPhysicalAddress);
  const known = memory === undefined ? pageOffset : memory.vaddr - memory.paddr;
  if (kernel === null) return { ...without('/proc/iomem does not tell where it is'), pageOffset: known };
  const text = mappings.find(
    ({ vaddr, paddr }) => vaddr >= START_KERNEL_MAP && paddr === BigInt(kernel.start),
  );
  if (text === undefined)
    return {
      ...without(`${path} maps nothing of the kernel at 0x${kernel.start.toString(16)}`),
      pageOffset: known,
    };
  const kernelText = { vaddr: text.vaddr, paddr: kernel.start, size: text.memsz };
  return { kernelText, pageOffset: known, warnings: [] };
}

/** The PT_LOADs of a core; no more of the file is read than its headers. */
function readMappings(path: string): ProgramHeader[] {
  const fd = openSync(path, 'r');
  try {
    const core = readElfCore((offset, length) => readAt(fd, offset, length), path);
    return core.programHeaders.filter(({ type }) => type === PT_LOAD);
  } finally {
    closeSync(fd);
  }
}

/** Bytes of a file, fewer where it ends. */
function readAt(fd: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let have = 0;
  while (have < length) {
    const got = readSync(fd, bytes, have, length - have, offset + have);
    if (got === 0) break;
    have += got;
  }
  return bytes.subarray(0, have);
}
