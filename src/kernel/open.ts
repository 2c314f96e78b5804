import type { Vmcoreinfo } from '../formats/vmcoreinfo.ts';
import type { Architecture, LinearSegment } from './arch.ts';
import { type KernelKnowledge, knowledgeOf } from './knowledge.ts';
import { type PhysicalMemory, VirtualMemory } from './memory.ts';
import { decodeUtsname, readUtsname } from './utsname.ts';

/** A kernel whose memory can be read by virtual address. */
export type KernelMemory = {
  readonly memory: VirtualMemory;
  readonly physBase: bigint;
  /** struct new_utsname, 390 bytes; undefined when it cannot be read. */
  readonly utsname: Uint8Array | undefined;
  /** Why addresses should not be trusted, or undefined when the translation proved right. */
  readonly doubt: string | undefined;
  /** Symbols, types, and VMCOREINFO completed by them; nothing is looked for before it is asked for. */
  readonly knowledge: KernelKnowledge;
};

/**
 * Sets up address translation and proves it: the release string that the kernel exported must be the one that is read
 * back through its page tables. A wrong phys_base or page table shows here first.
 * @param physBase as a dump's header tells it; otherwise computed from VMCOREINFO and the segments
 */
export function openKernelMemory(
  arch: Architecture,
  info: Vmcoreinfo,
  physical: PhysicalMemory,
  segments: readonly LinearSegment[],
  physBase: bigint = arch.physBase(info, segments),
): KernelMemory {
  const memory = new VirtualMemory(physical, arch.translator(info, physical, physBase));
  const utsname = readUtsname(info, memory);
  const knowledge = knowledgeOf(arch, info, memory);
  return { memory, physBase, utsname, doubt: doubtOf(info, utsname), knowledge };
}

function doubtOf(info: Vmcoreinfo, utsname: Uint8Array | undefined): string | undefined {
  if (utsname === undefined) return 'init_uts_ns cannot be read through the page tables';
  const { release } = decodeUtsname(utsname);
  if (info.osrelease === undefined || release === info.osrelease) return undefined;
  return `the page tables lead to release '${release}', VMCOREINFO says '${info.osrelease}'`;
}
