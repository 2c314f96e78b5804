import { counter } from '../../kernel/counters.ts';
import { type FreeList, freeLists } from '../../kernel/free-pages.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { pageOf } from '../../kernel/page-of.ts';
import { memoryNodes, pageOfFrame, type Zone } from '../../kernel/zones.ts';
import { damageText } from '../damage.ts';
import type { Session } from '../session.ts';
import { centred, hex, shown } from '../text.ts';

const zoneHeader = 'ZONE  NAME        SIZE    FREE      MEM_MAP       START_PADDR  START_MAPNR';
const areaHeader = 'AREA    SIZE  FREE_AREA_STRUCT';
const pageBytes = 4096;

/**
 * kmem -f: what is on the lists of free pages, and whether that is as much as the kernel counted.
 * @param pages shows the first page of each block, too (-F)
 */
export function* freeLines({ kernel }: Session, pages = false): Generator<string> {
  let found = 0;
  for (const [zone, nodeStart] of everyZone(kernel)) {
    yield zoneHeader;
    yield zoneLine(kernel, zone, nodeStart);
    if (zone.spanned > 0 && !pages) yield `${areaHeader}  BLOCKS  PAGES`;
    for (const list of zone.spanned > 0 ? freeLists(kernel, zone) : []) {
      const count = list.blocks.length * 2 ** list.order;
      found += count;
      if (pages) yield* listWithPages(list);
      else yield `${areaText(list)}  ${String(list.blocks.length).padStart(6)}  ${String(count).padStart(5)}`;
      if (list.damage !== undefined) yield damageText('kmem', 'the list', list.damage);
    }
    yield '';
  }
  const counted = counter(kernel, 'NR_FREE_PAGES');
  if (counted === undefined) yield `free pages found: ${found}`;
  else yield `nr_free_pages: ${counted}  ${counted === BigInt(found) ? '(verified)' : `(found ${found})`}`;
}

/** kmem -f PAGE: the list that a page is on, as the first one of a block or within it; nothing when it is on none. */
export function* freePageLines({ kernel }: Session, pfn: number): Generator<string> {
  const size = BigInt(pageOf(kernel, 0).type.size);
  const start = pageOfFrame(kernel, 0);
  for (const [zone, nodeStart] of everyZone(kernel)) {
    if (pfn < zone.start || pfn >= zone.start + zone.spanned) continue;
    for (const list of freeLists(kernel, zone)) {
      const block = list.blocks.find((each) => {
        const first = Number((each - start) / size);
        return pfn >= first && pfn < first + 2 ** list.order;
      });
      if (block === undefined) continue;
      yield zoneHeader;
      yield zoneLine(kernel, zone, nodeStart);
      yield* listWithPages({ ...list, blocks: [block] });
      return;
    }
  }
}

function* listWithPages(list: FreeList): Generator<string> {
  yield areaHeader;
  yield areaText(list);
  for (const block of list.blocks) yield hex(block);
}

function* everyZone(kernel: Kernel): Generator<readonly [zone: Zone, nodeStart: number]> {
  for (const { object, zones } of memoryNodes(kernel)) {
    const start = object.member('node_start_pfn').number();
    for (const zone of zones) yield [zone, typeof start === 'number' ? start : 0];
  }
}

function zoneLine(kernel: Kernel, { index, name, object, start, spanned }: Zone, nodeStart: number): string {
  const place =
    spanned === 0
      ? ['0', '0', '0']
      : [hex(pageOfFrame(kernel, start)), (start * pageBytes).toString(16), String(start - nodeStart)];
  const numbers = `${String(spanned).padStart(7)}${freeCount(kernel, object).padStart(8)}`;
  return `${String(index).padStart(3)}   ${name.padEnd(9)}${numbers}  ${centred(place[0]!, 16)}  ${rightOfCentre(place[1]!)}  ${rightOfCentre(place[2]!)}`;
}

function freeCount(kernel: Kernel, zone: Zone['object']): string {
  const index = kernel.core.btf?.enumerator('NR_FREE_PAGES') ?? 0n;
  return shown(kernel.core.u64(zone.member('vm_stat').address + index * 8n));
}

const areaText = ({ order, address }: FreeList): string =>
  `${String(order).padStart(3)}  ${`${(pageBytes / 1024) * 2 ** order}k`.padStart(7)}  ${hex(address)}`;

/** In the middle of a column of 11; of an odd rest the larger half goes to the left. */
function rightOfCentre(text: string): string {
  const room = Math.max(0, 11 - text.length);
  return ' '.repeat(Math.ceil(room / 2)) + text + ' '.repeat(Math.floor(room / 2));
}
