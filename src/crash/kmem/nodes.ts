import type { Kernel } from '../../kernel/kernel.ts';
import {
  type MemoryBlock,
  memoryBlocks,
  memorySections,
  sectionMap,
  sectionState,
} from '../../kernel/memory-sections.ts';
import { pageOf } from '../../kernel/page-of.ts';
import { type MemoryNode, memoryNodes, pageOfFrame, type Zone } from '../../kernel/zones.ts';
import type { Session } from '../session.ts';
import { centred, hex, shown } from '../text.ts';

const pageBytes = 4096;

/** kmem -n: memory nodes and their zones, sections of page descriptors, blocks that can be taken off-line. */
export function* nodeLines({ kernel }: Session): Generator<string> {
  for (const node of memoryNodes(kernel)) yield* oneNode(kernel, node);
  yield '-'.repeat(67);
  yield* sectionLines(kernel);
  yield* blockLines(kernel);
}

function* oneNode(kernel: Kernel, { id, object, zones }: MemoryNode): Generator<string> {
  yield 'NODE    SIZE      PGLIST_DATA       BOOTMEM_DATA       NODE_ZONES';
  const size = centred(shown(object.member('node_spanned_pages').integer()), 8);
  const [first, ...others] = zones.map((zone) => hex(zone.object.address));
  yield `${String(id).padStart(3)}   ${size}  ${hex(object.address)}  ${centred('----', 16)}  ${first ?? ''}`;
  for (const zone of others) yield ' '.repeat(52) + zone;
  const start = object.member('node_start_pfn').number();
  yield '    MEM_MAP          START_PADDR    START_MAPNR';
  const columns =
    typeof start === 'number'
      ? [hex(pageOfFrame(kernel, start)), (start * pageBytes).toString(16), String(start)]
      : [0, 1, 2].map(() => shown(start));
  yield `${columns[0]!.padEnd(16)}     ${centred(columns[1]!, 11)}    ${centred(columns[2]!, 11)}`;
  yield '';
  yield 'ZONE  NAME         SIZE       MEM_MAP      START_PADDR  START_MAPNR';
  for (const zone of zones) yield zoneLine(kernel, zone);
  yield '';
}

function zoneLine(kernel: Kernel, { index, name, start, spanned }: Zone): string {
  const map = spanned === 0 ? '0' : hex(pageOfFrame(kernel, start));
  const place = [(start * pageBytes).toString(16), String(start)].map((text) => text.padStart(13)).join('');
  return `${String(index).padStart(3)}   ${name.padEnd(9)}${String(spanned).padStart(8)}  ${map.padStart(16)}${place}`;
}

function* sectionLines(kernel: Kernel): Generator<string> {
  const sections = [...memorySections(kernel)];
  if (sections.length === 0) return;
  const width = Math.max(2, String(sections.at(-1)!.number).length);
  const pageSize = BigInt(pageOf(kernel, 0).type.size);
  yield '';
  yield `${'NR'.padEnd(width)}      SECTION        CODED_MEM_MAP        MEM_MAP       STATE PFN`;
  for (const section of sections) {
    const coded = sectionMap(section);
    const map = coded + BigInt(section.start) * pageSize;
    yield `${String(section.number).padStart(width)}  ${hex(section.address)}  ${hex(coded)}  ${hex(map)}  ${sectionState(section).padEnd(5)} ${section.start}`;
  }
}

function* blockLines(kernel: Kernel): Generator<string> {
  const blocks = [...memoryBlocks(kernel)];
  if (blocks.length === 0) return;
  yield '';
  yield '   MEM_BLOCK        NAME        PHYSICAL RANGE     NODE  STATE   START_SECTION_NO';
  for (const block of blocks) yield blockLine(block);
}

function blockLine({ object, name, start, end, node, state, firstSection }: MemoryBlock): string {
  const range = `${start.toString(16).padStart(8)} - ${end.toString(16).padStart(8)}`;
  return ` ${hex(object.address)}   ${(name ?? '?').padEnd(10)} ${range}  ${String(node ?? '?').padEnd(4)} ${state.padEnd(7)} ${firstSection}`;
}
