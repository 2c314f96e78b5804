import { known } from './core.ts';
import type { Kernel } from './kernel.ts';
import type { KernelObject } from './object.ts';
import { xarrayEntries } from './xarray.ts';

/** A section of SPARSEMEM: pages whose descriptors lie in one array. */
export type MemorySection = {
  readonly number: number;
  /** Its struct mem_section. */
  readonly address: bigint;
  /** Its first page frame. */
  readonly start: number;
  /** section_mem_map: where the descriptor of page frame 0 would be, and bits about the section. */
  readonly coded: bigint;
};

/** Bits below the address in section_mem_map (include/linux/mmzone.h), as letters. */
const stateBits = [
  [1n, 'P'],
  [2n, 'M'],
  [4n, 'O'],
  [8n, 'E'],
  [16n, 'D'],
] as const;
/** The kernel keeps six bits free, whichever it uses. */
const bitsMask = 0x3fn;
const pageShift = 12;
const mostSections = 2 ** 24;

/** 'PMOE': marked present, has descriptors, is online, is of boot, is a device's. */
export const sectionState = ({ coded }: MemorySection): string =>
  stateBits
    .filter(([bit]) => (coded & bit) !== 0n)
    .map(([, letter]) => letter)
    .join('');

/** section_mem_map without its bits. */
export const sectionMap = ({ coded }: MemorySection): bigint => coded & ~bitsMask;

/** Sections of SPARSEMEM_EXTREME that are present; none of a kernel without, or whose table cannot be read. */
export function* memorySections({ core }: Kernel): Generator<MemorySection> {
  // The kernel exports the value of this pointer (VMCOREINFO_SYMBOL_ARRAY).
  const roots = core.info.symbol('mem_section');
  const type = core.type('mem_section');
  const pages = pagesOfSection(core.info.number('SECTION_SIZE_BITS'));
  const last = known(core.global('max_pfn', 'long unsigned int')?.number()) ?? 0;
  if (roots === undefined || type === undefined) return;
  const perRoot = Math.floor(4096 / type.size);
  const count = Math.min(Math.ceil(last / pages), mostSections);
  for (let number = 0; number < count; number++) {
    const root = known(core.u64(roots + BigInt(8 * Math.floor(number / perRoot))));
    if (!root) continue;
    const address = root + BigInt((number % perRoot) * type.size);
    const coded = known(core.object('mem_section', address).member('section_mem_map').integer());
    if (coded !== undefined && (coded & 1n) !== 0n) yield { number, address, start: number * pages, coded };
  }
}

/** 128 MiB on x86_64 unless VMCOREINFO says otherwise. */
const pagesOfSection = (bits: bigint | undefined): number => 2 ** (Number(bits ?? 27n) - pageShift);

/** A piece of memory as /sys/devices/system/memory has it: what can be taken on-line and off-line. */
export type MemoryBlock = {
  readonly object: KernelObject;
  readonly name: string | undefined;
  /** Bytes: the first, and the last. */
  readonly start: number;
  readonly end: number;
  readonly node: number | undefined;
  readonly state: string;
  readonly firstSection: number;
};

const states: Readonly<Record<number, string>> = {
  1: 'ONLINE',
  2: 'GOING_OFFLINE',
  4: 'OFFLINE',
  8: 'GOING_ONLINE',
  16: 'CANCEL_ONLINE',
  32: 'CANCEL_OFFLINE',
};

/** Memory blocks in ascending order; none of a kernel without memory hotplug. */
export function* memoryBlocks({ core }: Kernel): Generator<MemoryBlock> {
  const head = core.global('memory_blocks', 'xarray')?.member('xa_head').integer();
  const perBlock = known(core.global('sections_per_block', 'int')?.number()) ?? 1;
  const bytes = pagesOfSection(core.info.number('SECTION_SIZE_BITS')) * 2 ** pageShift;
  if (core.type('memory_block') === undefined) return;
  for (const { entry } of xarrayEntries(core, known(head) ?? 0n)) {
    const object = core.object('memory_block', entry);
    const firstSection = known(object.member('start_section_nr').number()) ?? 0;
    yield {
      object,
      name: known(object.find('dev.kobj.name')?.text()),
      start: firstSection * bytes,
      end: (firstSection + perBlock) * bytes - 1,
      node: known(object.find('nid')?.number()),
      state: stateOf(object.member('state')),
      firstSection,
    };
  }
}

/** A number with a bit for each state; since 6.12 an enum, whose constants say it. */
function stateOf(member: KernelObject): string {
  const value = known(member.integer());
  const named = member.type.bare.enumerators.find((each) => each.value === value)?.name;
  return named?.replace(/^MEM_/, '') ?? states[Number(value ?? 0n)] ?? 'UNKNOWN';
}
