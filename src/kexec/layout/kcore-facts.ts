import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import {
  ET_CORE,
  elfHeaderLayout,
  isElf,
  noPhysicalAddress,
  PT_LOAD,
  programHeaderLayout,
} from '../../formats/elf.ts';
import { describeError, KdumpError } from '../../lib/errors.ts';
import { layout, readStruct, type Struct } from '../../lib/layout.ts';
import type { Range } from '../../lib/ranges.ts';
import { readFiveLevel } from '../../system/proc.ts';
import type { LayoutFacts } from './layout-facts.ts';

/** Where x86_64 maps the kernel image and all memory (Documentation/arch/x86/x86_64/mm.rst), without KASLR. */
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
const PAGE_OFFSET = { fourLevel: 0xffff_8880_0000_0000n, fiveLevel: 0xff11_0000_0000_0000n } as const;

/**
 * A program header of kcore, as far as it is needed here: with 5-level paging offsets and sizes are larger than
 * readElfCore takes them.
 */
const mappingLayout = layout('Elf64_Phdr', programHeaderLayout.size, {
  type: [0, 'u32'],
  vaddr: [16, 'a64'],
  paddr: [24, 'a64'],
  memsz: [40, 'a64'],
});
type Mapping = Struct<(typeof mappingLayout)['fields']>;

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
  let mappings: readonly Mapping[];
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
  const kernelText = { vaddr: text.vaddr, paddr: kernel.start, size: Number(text.memsz) };
  return { kernelText, pageOffset: known, warnings: [] };
}

/** The PT_LOADs of a core; no more of the file is read than its headers. */
function readMappings(path: string): Mapping[] {
  const fd = openSync(path, 'r');
  try {
    const header = readAt(fd, 0, elfHeaderLayout.size);
    const notCore = new KdumpError('unsupported-elf', `${path}: not an ELF core of 64 bits`);
    if (!isElf(header)) throw notCore;
    const { type, phoff, phnum, phentsize } = readStruct(elfHeaderLayout, header, 0, `${path} offset 0`);
    if (type !== ET_CORE || phentsize !== mappingLayout.size) throw notCore;
    const table = readAt(fd, phoff, phnum * phentsize);
    return Array.from({ length: phnum }, (_, i) =>
      readStruct(mappingLayout, table, i * phentsize, `${path} offset ${phoff + i * phentsize}`),
    ).filter((mapping) => mapping.type === PT_LOAD);
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
