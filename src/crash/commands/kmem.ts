import type { Kernel } from '../../kernel/kernel.ts';
import { isMissing } from '../../kernel/memory.ts';
import { describedFrames, pageFrames, physicalOfPage, vmemmapStart } from '../../kernel/page-of.ts';
import { onStack, taskStack } from '../../kernel/stacks.ts';
import type { KernelTask } from '../../kernel/tasks.ts';
import { vmallocAreas } from '../../kernel/vmalloc.ts';
import { hasOption } from '../../lib/getopt.ts';
import { addressOf, parseFlags, usageError } from '../arguments.ts';
import { taskFields } from '../banner.ts';
import type { Command } from '../command.ts';
import { damageText } from '../damage.ts';
import { nameOfAddress } from '../format/style.ts';
import { freeLines, freePageLines } from '../kmem/free.ts';
import { nodeLines } from '../kmem/nodes.ts';
import { overviewLines } from '../kmem/overview.ts';
import { pageHeader, pageLine, pageLines } from '../kmem/page-lines.ts';
import { slabContentLines } from '../kmem/slab-contents.ts';
import { slabLines, slabLinesOf, slabObjectLines, slabOfPage } from '../kmem/slabs.ts';
import { statisticsLines, zoneLines } from '../kmem/statistics.ts';
import type { Session } from '../session.ts';
import { hex } from '../text.ts';

/** Pages that -p shows at once. */
const mostPages = 2 ** 20;

export const kmem: Command = {
  name: 'kmem',
  usage: '[-i | -s [cache ...] | -S [cache ...] | -f | -F | -v | -V | -n | -z | -p [address]] [address]',
  summary: 'memory: what it is used for, slab caches, free pages, vmalloc, nodes and zones, pages',
  help: [
    '  -i        what memory is used for',
    '  -s CACHE  slab caches, all or those named; of an address, the object that it lies in',
    '  -S CACHE  the same with their slabs, those of CPUs with all objects, in brackets those that are',
    '            allocated; of an address, the objects of its slab. Full slabs are on no list of the kernel',
    '  -f        lists of free pages, and whether they hold what the kernel counted; of a page, its list',
    '  -F        the same with the first page of each free block',
    '  -v        what vmalloc gave out',
    '  -V        statistics',
    '  -n        memory nodes, sections of page descriptors (P present, M has them, O on-line, E of boot,',
    '            D of a device) and blocks that can be taken off-line',
    '  -z        zones',
    '  -p        page descriptors, all or that of an address',
    '  ADDRESS   what an address belongs to: a symbol, a slab, vmalloc, the stack of a task, a page',
    'kmem -s dentry filp      kmem -S kmalloc-96 | grep "cpu 0"',
  ].join('\n'),
  *run(session, args) {
    const parsed = parseFlags(args, 'isSfFvVnzp');
    const words = parsed.positionals;
    const has = (letter: string): boolean => hasOption(parsed, letter);
    if (has('i')) yield* overviewLines(session);
    else if (has('s')) yield* slabLines(session, words);
    else if (has('S')) yield* slabContentLines(session, words);
    else if ((has('f') || has('F')) && words[0] !== undefined)
      yield* freePageLines(session, Math.floor(pageNamed(session, words[0]) / 4096));
    else if (has('f') || has('F')) yield* freeLines(session, has('F'));
    else if (has('v')) yield* vmallocLines(session);
    else if (has('V')) yield* statisticsLines(session);
    else if (has('n')) yield* nodeLines(session);
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
  if (damage !== undefined) yield damageText('kmem', 'the list', damage);
}

const areaLine = ({ object, vm, start, end }: ReturnType<typeof vmallocAreas>['areas'][number]): string =>
  `${hex(object.address)}  ${hex(vm)}  ${hex(start)} - ${hex(end)} ${String(end - start).padStart(8)}`;

/** Physical address of the page that an address means: of its descriptor, physical, or of the kernel. */
function pageNamed(session: Session, word: string): number {
  const { kernel } = session;
  const address = addressOf(session, word);
  const described = address >= vmemmapStart(kernel) ? physicalOfPage(kernel, address) : undefined;
  if (described !== undefined) return Number(described);
  const place = address >> 63n === 0n ? { paddr: Number(address) } : kernel.core.memory.translate(address);
  if (isMissing(place)) throw usageError(`kmem: ${word} is mapped nowhere`);
  return place.paddr;
}

function* pages(session: Session, word: string | undefined): Generator<string> {
  if (word !== undefined) {
    yield pageHeader;
    yield pageLine(session.kernel, pageNamed(session, word));
    return;
  }
  yield pageHeader;
  const lineOf = pageLines(session.kernel);
  let count = 0;
  for (const pfn of describedFrames(session.kernel)) {
    if (count++ === mostPages) {
      yield `kmem: more than ${mostPages} pages: the rest is not shown`;
      return;
    }
    yield lineOf(pfn * 4096);
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
  const described = physicalOfPage(kernel, address);
  const slab = described === undefined ? undefined : slabOfPage(kernel, address);
  const object = kernel.memoryMap.objectAt(address);
  if (slab !== undefined) yield* slabLinesOf(kernel, slab);
  else if (object !== undefined) yield* [...slabObjectLines(session, object), ''];
  const owner = kernel.tasks.find((task) => isTask(kernel, task, address));
  if (owner !== undefined) {
    for (const [label, text] of taskFields(session, owner)) yield `${label.padStart(7)}: ${text}`;
    yield '';
  }
  const area = vmallocAreas(kernel).areas.find(({ start, end }) => address >= start && address < end);
  if (area !== undefined) yield* [areaHeader, areaLine(area), ''];
  const place = kernel.core.memory.translate(address);
  const physical =
    described !== undefined
      ? Number(described)
      : isMissing(place)
        ? physicalAddress(kernel, address)
        : place.paddr;
  if (physical === undefined) yield `${hex(address)} is mapped nowhere`;
  else yield* [pageHeader, pageLine(kernel, physical)];
}

/** Whether an address lies in the task_struct or on the kernel stack of a task. */
function isTask(kernel: Kernel, task: KernelTask, address: bigint): boolean {
  if (onStack(taskStack(kernel.core, task), address)) return true;
  return address >= task.address && address < task.address + BigInt(task.object.type.size);
}

/** An address that is one of physical memory; undefined when there is no page. */
function physicalAddress(kernel: Kernel, address: bigint): number | undefined {
  return address >> 12n < (pageFrames(kernel) ?? 0) ? Number(address) : undefined;
}
