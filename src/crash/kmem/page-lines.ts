import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import { pageOf } from '../../kernel/page-of.ts';
import { hex, shown } from '../text.ts';

export const pageHeader = '      PAGE       PHYSICAL      MAPPING       INDEX CNT FLAGS';

/** The descriptor of the page at a physical address, a line below `pageHeader`. */
export function pageLine(kernel: Kernel, physical: number): string {
  const page = pageOf(kernel, physical);
  const value = (...paths: string[]): bigint | undefined => {
    const word = page.find(...paths)?.integer();
    return word === undefined || isMissing(word) ? undefined : BigInt.asUintN(64, word);
  };
  const of = (...paths: string[]): string => {
    const member = page.find(...paths);
    return member === undefined
      ? '-'
      : shown(member.integer(), (word) => BigInt.asUintN(64, word).toString(16));
  };
  const count = page.find('_refcount.counter', '_count.counter')?.integer();
  const flags = value('flags.f', 'flags');
  const columns = [
    hex(page.address),
    (physical - (physical % 4096)).toString(16).padStart(8),
    of('mapping').padStart(16),
    of('index', '__folio_index').padStart(8),
    (count === undefined ? '-' : shown(count)).padStart(2),
    of('flags.f', 'flags'),
    flags === undefined ? '' : flagNames(kernel, flags),
  ];
  return columns.join(' ').trimEnd();
}

/** 'referenced,uptodate,lru': bits of a page's flags by the names that they had first. */
function flagNames({ core }: Kernel, flags: bigint): string {
  const constants = core.type('enum pageflags')?.enumerators ?? [];
  const count = core.btf?.enumerator('__NR_PAGEFLAGS') ?? 0n;
  const names = new Map<bigint, string>();
  for (const { name, value } of constants)
    if (value < count && !names.has(value)) names.set(value, name.replace(/^PG_/, ''));
  return [...names]
    .filter(([bit]) => (flags >> bit) & 1n)
    .sort(([a], [b]) => Number(a - b))
    .map(([, name]) => name)
    .join(',');
}
