import { isMissing } from '../../kernel/memory.ts';
import { describedFrames, physicalOfPage, vmemmapStart } from '../../kernel/page-of.ts';
import { onStack, taskStack } from '../../kernel/stacks.ts';
import { vmallocAreas } from '../../kernel/vmalloc.ts';
import { hasOption } from '../../lib/getopt.ts';
import { addressOf, parseFlags, usageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { nameOfAddress } from '../format/style.ts';
import { overviewLines } from '../kmem/overview.ts';
import { slabLines, slabObjectLines } from '../kmem/slabs.ts';
import { statisticsLines, zoneLines } from '../kmem/statistics.ts';
import type { Session } from '../session.ts';
import { taskHeader } from '../tasks.ts';
import { hex } from '../text.ts';
import { pageLines } from './vtop.ts';

/** Pages that -p shows at once. */
const mostPages = 2 ** 20;

export const kmem: Command = {
  name: 'kmem',
  usage: '[-i | -s [cache ...] | -v | -V | -z | -p [address]] [address]',
  summary: 'memory: what it is used for, slab caches, vmalloc, zones, pages',
  help: [
    '  -i        what memory is used for',
    '  -s CACHE  slab caches, all or those named',
    '  -v        what vmalloc gave out',
    '  -V        statistics',
    '  -z        zones',
    '  -p        page descriptors, all or that of an address',
    '  ADDRESS   what an address belongs to: a symbol, a slab, vmalloc, the stack of a task, a page',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 'isvVzp');
    const words = parsed.positionals;
    const has = (letter: string): boolean => hasOption(parsed, letter);
    if (has('i')) yield* overviewLines(session);
    else if (has('s')) yield* slabLines(session, words);
    else if (has('v')) yield* vmallocLines(session);
    else if (has('V')) yield* statisticsLines(session);
    else if (has('z')) yield* zoneLines(session);
    else if (has('p')) yield* pages(session, words[0]);
    else if (words.length > 0) for (const word of words) yield* belongs(session, addressOf(session, word));
    else throw usageError('kmem: an option or an address is expected');
  },
};

const areaHeader = '   VMAP_AREA         VM_STRUCT                 ADDRESS RANGE                SIZE';

function* vmallocLines({ kernel }: Session): Generator<string> {
  const { areas, damage } = vmallocAreas(kernel);
  yield areaHeader;
  for (const area of areas) if (area.vm !== 0n) yield areaLine(area);
  if (damage !== undefined) yield `kmem: the list is damaged (${damage.reason}) at ${hex(damage.address)}`;
}

const areaLine = ({ object, vm, start, end }: ReturnType<typeof vmallocAreas>['areas'][number]): string =>
  `${hex(object.address)}  ${hex(vm)}  ${hex(start)} - ${hex(end)} ${String(end - start).padStart(8)}`;

function* pages(session: Session, word: string | undefined): Generator<string> {
  if (word !== undefined) {
    const address = addressOf(session, word);
    const ofDescriptor =
      address >= vmemmapStart(session.kernel) ? physicalOfPage(session.kernel, address) : undefined;
    const place =
      address >> 63n === 0n ? { paddr: Number(address) } : session.kernel.core.memory.translate(address);
    if (ofDescriptor === undefined && isMissing(place)) throw usageError(`kmem: ${word} is mapped nowhere`);
    yield* pageLines(
      session,
      ofDescriptor === undefined ? (place as { paddr: number }).paddr : Number(ofDescriptor),
    );
    return;
  }
  let shown = 0;
  for (const pfn of describedFrames(session.kernel)) {
    if (shown === mostPages) {
      yield `kmem: more than ${mostPages} pages: the rest is not shown`;
      return;
    }
    const [header, line] = [...pageLines(session, pfn * 4096)];
    if (shown++ === 0) yield header!;
    yield line!;
  }
}

/** Everything that an address belongs to. */
function* belongs(session: Session, address: bigint): Generator<string> {
  const { kernel } = session;
  const name = nameOfAddress(kernel, address);
  if (name !== undefined) {
    const { symbol } = kernel.symbolAt(address)!;
    yield `${hex(address)} (${symbol.type}) ${name}${symbol.module ? ` [${symbol.module.name}]` : ''}`;
    yield '';
  }
  if (kernel.memoryMap.objectAt(address) !== undefined) {
    yield* slabObjectLines(session, address);
    yield '';
  }
  const area = vmallocAreas(kernel).areas.find(({ start, end }) => address >= start && address < end);
  if (area !== undefined) {
    yield areaHeader;
    yield areaLine(area);
    yield '';
  }
  const owner = kernel.tasks.find((task) => onStack(taskStack(kernel.core, task), address));
  if (owner !== undefined) {
    yield taskHeader(owner);
    yield '  (on its kernel stack)';
    yield '';
  }
  const place = kernel.core.memory.translate(address);
  const ofDescriptor = physicalOfPage(kernel, address);
  if (!isMissing(place) && ofDescriptor === undefined)
    yield* pageLines(session, place.paddr - (place.paddr % 4096));
  else if (ofDescriptor !== undefined) yield* pageLines(session, Number(ofDescriptor));
  else yield `${hex(address)} is mapped nowhere`;
}
