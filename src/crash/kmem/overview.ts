import { memoryUse } from '../../kernel/memory-use.ts';
import { sizeText } from '../banner.ts';
import type { Session } from '../session.ts';

const pageBytes = 4096;

/** kmem -i: what memory is used for. A row that the dump does not tell says so. */
export function* overviewLines({ kernel }: Session): Generator<string> {
  const use = memoryUse(kernel);
  yield '                 PAGES        TOTAL      PERCENTAGE';
  yield row('TOTAL MEM', use.total);
  yield row('FREE', use.free, use.total, 'TOTAL MEM');
  const used = use.total === undefined || use.free === undefined ? undefined : use.total - use.free;
  yield row('USED', used, use.total, 'TOTAL MEM');
  yield row('BUFFERS', use.buffers, use.total, 'TOTAL MEM');
  yield row('CACHED', use.cached, use.total, 'TOTAL MEM');
  yield row('SLAB', use.slab, use.total, 'TOTAL MEM');
  yield '';
  yield row('TOTAL HUGE', use.huge?.total);
  yield row('HUGE FREE', use.huge?.free, use.huge?.total, 'TOTAL HUGE');
  yield '';
  yield row('TOTAL SWAP', use.swap.total);
  yield row('SWAP USED', use.swap.used, use.swap.total, 'TOTAL SWAP');
  yield row('SWAP FREE', use.swap.total - use.swap.used, use.swap.total, 'TOTAL SWAP');
  yield '';
  yield row('COMMIT LIMIT', use.commitLimit);
  yield row('COMMITTED', use.committed, use.commitLimit, 'TOTAL LIMIT');
}

function row(label: string, pages: number | undefined, of?: number, ofWhat?: string): string {
  const name = label.padStart(13);
  if (pages === undefined) return `${name} (not in the dump)`;
  const size = pages === 0 ? '0' : sizeText(pages * pageBytes);
  const share =
    ofWhat === undefined ? '         ----' : `${percent(pages, of ?? 0).padStart(5)}% of ${ofWhat}`;
  return `${name}${String(pages).padStart(9)}  ${size.padStart(11)}${share}`;
}

const percent = (part: number, whole: number): string =>
  String(whole === 0 ? 0 : Math.floor((part * 100) / whole));
