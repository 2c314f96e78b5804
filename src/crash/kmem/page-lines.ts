import type { CPlace } from '../../kernel/ctype.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing, u64At } from '../../kernel/memory.ts';
import { pageOf } from '../../kernel/page-of.ts';
import { hex, missingText } from '../text.ts';

export const pageHeader = '      PAGE       PHYSICAL      MAPPING       INDEX CNT FLAGS';

/** The descriptor of the page at a physical address, a line below `pageHeader`. */
export const pageLine = (kernel: Kernel, physical: number): string => pageLines(kernel)(physical);

/** The same for many pages: what is needed of the types is looked up once. */
export function pageLines(kernel: Kernel): (physical: number) => string {
  const first = pageOf(kernel, 0);
  const { type } = first;
  const place = (...paths: string[]): CPlace | undefined =>
    paths.map((path) => type.place(path)).find((found) => found !== undefined);
  const mapping = place('mapping');
  const index = place('index', '__folio_index');
  const count = place('_refcount.counter', '_count.counter');
  const flags = place('flags.f', 'flags');
  const names = flagNames(kernel);
  return (physical) => {
    const pfn = Math.floor(physical / 4096);
    const address = first.address + BigInt(pfn) * BigInt(type.size);
    const start = `${hex(address)} ${(pfn * 4096).toString(16).padStart(8)}`;
    const bytes = kernel.core.memory.read(address, type.size);
    if (isMissing(bytes)) return `${start} ${missingText(bytes)}`;
    const word = (at: CPlace | undefined): bigint | undefined => at && u64At(bytes, at.offset);
    const bits = word(flags);
    const references = count && Buffer.from(bytes).readInt32LE(count.offset);
    const set = bits === undefined ? [] : names.filter(([bit]) => (bits >> bit) & 1n);
    const columns = [
      start,
      (word(mapping)?.toString(16) ?? '-').padStart(16),
      (word(index)?.toString(16) ?? '-').padStart(8),
      String(references ?? '-').padStart(2),
      bits?.toString(16) ?? '-',
      set.map(([, name]) => name).join(','),
    ];
    return columns.join(' ').trimEnd();
  };
}

/** Bits of a page's flags, ascending, by the names that they had first. */
function flagNames({ core }: Kernel): (readonly [bit: bigint, name: string])[] {
  const count = core.btf?.enumerator('__NR_PAGEFLAGS') ?? 0n;
  const names = new Map<bigint, string>();
  for (const { name, value } of core.type('enum pageflags')?.enumerators ?? [])
    if (value < count && !names.has(value)) names.set(value, name.replace(/^PG_/, ''));
  return [...names].sort(([a], [b]) => Number(a - b));
}
